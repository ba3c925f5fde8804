using LlamaCluster.Model.Inference;

namespace LlamaCluster.Worker.Loading;

/// <summary>The weights that this worker has in memory, and where they came from.</summary>
/// <param name="Source">"local PATH", "cache PATH" or "coordinator".</param>
sealed record HeldModel(IShardModel Weights, string Digest, string Source) : IDisposable
{
    /// <summary>Whether an order can be carried out with these weights as they are.</summary>
    public bool Fits(LoadOrder order) => Digest == order.Plan.ModelDigest && Shape == order.Shape;

    public StageShape Shape => Weights.Shape;

    public void Dispose() => Weights.Dispose();
}
