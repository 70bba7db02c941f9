// `pulumi install` makes the package's SDK and its types from plugin/schema.json.
import * as lab from "@pulumi/ingestion-lab";

const payments = new lab.ReliableQueue("payments", {
    consumerTimeoutSeconds: 30,
    maxReceiveCount: 3,
    alarmTopicArn: "arn:aws:sns:eu-central-1:123456789012:on-call",
});
new lab.QueueConsumer("payments", {
    queueArn: payments.queueArn,
    functionArn: "arn:aws:lambda:eu-central-1:123456789012:function:payments",
});

export const queueUrl = payments.queueUrl;
