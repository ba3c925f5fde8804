using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

/// <summary>Models in this machine's file system.</summary>
sealed partial class LocalModels(ILogger<LocalModels> logger)
{
    /// <summary>Opens the model if it is there and is the one wanted; what is wrong with it is logged, for there may be another source.</summary>
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
}
