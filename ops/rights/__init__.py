"""What whoever runs `pulumi up` may have to do: IAM policies made of what a stack's program registers."""
