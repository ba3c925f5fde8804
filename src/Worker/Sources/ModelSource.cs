using LlamaCluster.Worker.Loading;

namespace LlamaCluster.Worker.Sources;

/// <summary>Finds the weights of an order: the worker's own model file, the coordinator's path if this machine has it too, else over the network.</summary>
sealed class ModelSource(LocalModels local, RemoteModels remote, WorkerOptions options)
{
    public async Task<OpenedModel> OpenAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        foreach (var path in new[] { options.ModelPath, order.ModelPath }.OfType<string>().Distinct())
            if (await local.TryOpenAsync(path, order.Plan.ModelDigest, cancellation) is { } opened) return opened;
        return await remote.OpenAsync(order, progress, cancellation);
    }
}
