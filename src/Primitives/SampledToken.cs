namespace LlamaCluster.Primitives;

/// <summary>A chosen token, or a token of a prompt, with its log-probability before temperature and filters.</summary>
/// <param name="Logprob">Natural logarithm; NaN if none was asked for.</param>
/// <param name="Top">The most probable ids, best first; empty if none were asked for.</param>
public sealed record SampledToken(int Id, float Logprob, IReadOnlyList<TokenLogprob> Top);
