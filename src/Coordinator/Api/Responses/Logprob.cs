namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>Log-probabilities in JSON, which has no infinity.</summary>
static class Logprob
{
    /// <summary>OpenAI's word for "impossible".</summary>
    const float Impossible = -9999;

    public static float Finite(float logprob) => float.IsFinite(logprob) ? logprob : Impossible;
}
