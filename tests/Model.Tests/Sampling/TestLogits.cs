namespace LlamaCluster.Model.Tests.Sampling;

/// <summary>Logits as a model gives them: bell-shaped, some far above the others.</summary>
static class TestLogits
{
    public static float[] Of(int vocabularySize, int seed, float spread = 2.5f)
    {
        var random = new Random(seed);
        var logits = new float[vocabularySize];
        foreach (ref var logit in logits.AsSpan())
            logit = spread * MathF.Sqrt(-2 * MathF.Log(1 - random.NextSingle())) * MathF.Cos(MathF.Tau * random.NextSingle());
        return logits;
    }
}
