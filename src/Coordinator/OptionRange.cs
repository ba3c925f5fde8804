namespace LlamaCluster.Coordinator;

/// <summary>A wrong value in one line: the option's name, the value and what is allowed. Null if the value is allowed.</summary>
static class OptionRange
{
    static readonly TimeSpan ShortestTime = TimeSpan.FromMilliseconds(1);
    static readonly TimeSpan LongestTime = TimeSpan.FromHours(24);

    /// <param name="name">As the operator writes it: "--workers"; for an option that has no flag, the property's name.</param>
    public static string? Problem(string name, int value, int least, int most)
        => value >= least && value <= most ? null : $"{name} is {value}; it must be from {least} to {most}";

    public static string? Problem(string name, TimeSpan value)
        => value >= ShortestTime && value <= LongestTime ? null : $"{name} is {value}; it must be from {ShortestTime} to {LongestTime}";
}

/// <summary>An option has a value that is not allowed. The message is one line; see <see cref="OptionRange"/>.</summary>
public sealed class InvalidOptionsException(string message) : Exception(message);
