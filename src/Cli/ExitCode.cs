namespace LlamaCluster.Cli;

/// <summary>What a command tells the shell.</summary>
static class ExitCode
{
    public const int Done = 0;

    public const int Failed = 1;

    public const int WrongUsage = 2;
}
