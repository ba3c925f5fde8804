namespace LlamaCluster.Primitives;

public readonly record struct TokenLogprob(int Id, float Logprob);
