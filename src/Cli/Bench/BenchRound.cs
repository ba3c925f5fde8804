namespace LlamaCluster.Cli.Bench;

/// <summary>The times of one round.</summary>
/// <param name="Prefill">Until every stream has its first token.</param>
/// <param name="FirstToken">Until a stream has its first token, all having come at once: the mean over the streams.</param>
/// <param name="Decode">All steps after those of the prompts.</param>
sealed record BenchRound(TimeSpan Prefill, TimeSpan FirstToken, TimeSpan Decode);
