namespace LlamaCluster.Cli.Bench;

/// <summary>Prompts of pseudo-random token ids, the same ones for the same seed.</summary>
static class BenchPrompts
{
    /// <summary>One prompt for each stream.</summary>
    public static int[][] Make(BenchOptions options, int vocabularySize, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, options.Concurrency).Select(_ => Make(random, options.PromptTokens, vocabularySize))];
    }

    static int[] Make(Random random, int length, int vocabularySize) => [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabularySize))];
}
