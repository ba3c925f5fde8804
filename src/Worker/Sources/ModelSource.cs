using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Orders;
using Microsoft.Extensions.Logging;

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

/// <param name="Source">"local PATH", "cache PATH" or "coordinator".</param>
sealed record OpenedModel(IModelWeights Weights, string Source) : IDisposable
{
    public void Dispose() => Weights.Dispose();
}

/// <summary>Models in this machine's file system.</summary>
sealed partial class LocalModels(ILogger<LocalModels> logger)
{
    /// <summary>Opens the model at a path if it is the one wanted. Else logs why not, and there may be another source.</summary>
    public async Task<OpenedModel?> TryOpenAsync(string path, string digest, CancellationToken cancellation)
    {
        if (!ModelFiles.Exist(path)) return null;
        try
        {
            var (weights, found) = await OpenAsync(path, cancellation);
            if (found == digest) return new OpenedModel(weights, $"local {path}");
            weights.Dispose();
            LogOtherModel(path, found, digest);
        }
        catch (ModelFormatException e)
        {
            LogUnusable(e.Message);
        }
        return null;
    }

    /// <exception cref="ModelFormatException">There is no model at this path that can be read.</exception>
    public async Task<string> DigestAsync(string path, CancellationToken cancellation)
    {
        var (weights, digest) = await OpenAsync(path, cancellation);
        weights.Dispose();
        return digest;
    }

    // Reads from disk for as long as it takes, so not on the caller's thread.
    static Task<(IModelWeights Weights, string Digest)> OpenAsync(string path, CancellationToken cancellation) => Task.Run(() =>
    {
        var weights = ModelFiles.Open(path);
        try
        {
            return (weights, weights.ComputeDigest(cancellation));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }, cancellation);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} is another model ({Found}) than the plan's ({Wanted}); looking elsewhere")]
    partial void LogOtherModel(string path, string found, string wanted);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Looking elsewhere for the model: {Problem}")]
    partial void LogUnusable(string problem);
}
