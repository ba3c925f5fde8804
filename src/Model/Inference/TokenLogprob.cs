namespace LlamaCluster.Model.Inference;

public readonly record struct TokenLogprob(int Id, float Logprob);
