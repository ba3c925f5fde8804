using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>
/// Hashes the tensors that no worker has asked about yet, when the cluster serves: one at a time, on one thread, and with as long a rest after each as it
/// took. So who joins later waits for no hash of a whole tensor. Rows or columns for ranks are still hashed when they are first asked for.
/// </summary>
public sealed partial class HashesAhead(ServedWeights weights, Readiness readiness, TimeProvider time, ILogger<HashesAhead> logger) : BackgroundService
{
    static readonly TimeSpan Look = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            using (var timer = new PeriodicTimer(Look, time))
                while (!readiness.IsReady) await timer.WaitForNextTickAsync(stoppingToken);
            await HashAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            return;
        }
        catch (ModelFormatException unreadable)
        {
            LogUnreadable(unreadable.Message);
        }
        finally
        {
            weights.Hashes.Keep();
        }
    }

    async Task HashAsync(CancellationToken stopping)
    {
        foreach (var tensor in weights.Files.Tensors.Where(tensor => weights.Files.FileOf(tensor) is not null))
        {
            var begun = time.GetTimestamp();
            if (!await weights.Hashes.TryMakeAsync(TensorPart.Whole(tensor), stopping)) continue;
            await Task.Delay(time.GetElapsedTime(begun), time, stopping);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The model's parts are not hashed ahead: {Problem}")]
    partial void LogUnreadable(string problem);
}
