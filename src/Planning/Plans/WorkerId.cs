namespace LlamaCluster.Planning.Plans;

/// <summary>
/// Names a worker for as long as it is registered. Given by the coordinator; 1 to 64 letters, digits and <c>- _ .</c>, so that it can
/// stand in logs, metrics and file names as it is.
/// </summary>
public readonly record struct WorkerId(string Value)
{
    public const int MaxLength = 64;

    public static bool IsValid(string? value) =>
        value is { Length: > 0 and <= MaxLength } && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    public override string ToString() => Value;
}
