using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>Numbers on the command line.</summary>
static class Range
{
    /// <exception cref="InvalidOptionsException">The value is out of range.</exception>
    public static int Check(string option, int value, int least, int most)
        => value >= least && value <= most ? value : throw new InvalidOptionsException($"{option} is {value}; it must be from {least} to {most}");
}
