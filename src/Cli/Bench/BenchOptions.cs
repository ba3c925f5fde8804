namespace LlamaCluster.Cli.Bench;

/// <summary>What is measured, and on how many threads.</summary>
/// <param name="PromptTokens">Of each stream.</param>
/// <param name="GenerateTokens">Of each stream; the first one comes from the prompt's last step, each other from a step of its own.</param>
/// <param name="Concurrency">Streams that decode together, all in one step.</param>
sealed record BenchOptions(int Threads, bool Pin, int PromptTokens, int GenerateTokens, int Concurrency)
{
    /// <summary>Positions of a stream.</summary>
    public int Positions => checked(PromptTokens + GenerateTokens);
}
