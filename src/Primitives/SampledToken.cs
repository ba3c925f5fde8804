namespace LlamaCluster.Primitives;

/// <summary>A token that was chosen (or, for a prompt, found), with its log-probability before temperature and filters.</summary>
/// <param name="Logprob">Natural logarithm; NaN where none was asked for.</param>
/// <param name="Top">The most probable ids, best first; empty where none were asked for.</param>
public sealed record SampledToken(int Id, float Logprob, IReadOnlyList<TokenLogprob> Top);
