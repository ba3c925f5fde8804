using LlamaCluster.Model.Formats;

namespace LlamaCluster.Worker.Sources;

/// <param name="Source">"local PATH", "cache PATH" or "coordinator".</param>
sealed record OpenedModel(IModelWeights Weights, string Source) : IDisposable
{
    public void Dispose() => Weights.Dispose();
}
