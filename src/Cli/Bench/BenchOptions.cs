using LlamaCluster.Model.Formats;

namespace LlamaCluster.Cli.Bench;

/// <summary>What is measured, and on how many threads.</summary>
/// <param name="Threads">Of this process, or of each worker.</param>
/// <param name="Pin">Threads, or workers, have processors of their own.</param>
/// <param name="PromptTokens">Of each stream.</param>
/// <param name="GenerateTokens">Of each stream; the first one comes from the prompt's last step, each other from a step of its own.</param>
/// <param name="Concurrency">Streams that decode together; in this process all in one step.</param>
sealed record BenchOptions(int Threads, bool Pin, int PromptTokens, int GenerateTokens, int Concurrency)
{
    /// <summary>Positions of a stream.</summary>
    public int Positions => checked(PromptTokens + GenerateTokens);

    /// <exception cref="CommandFailedException">The streams are longer than the model's context.</exception>
    public void CheckContext(IModelWeights weights)
    {
        if (Positions > weights.Config.ContextLength)
            throw new CommandFailedException($"--prompt-tokens and --generate-tokens are {Positions} together; {weights.Name} is made for at most {weights.Config.ContextLength}");
    }
}
