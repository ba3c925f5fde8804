using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>Counts the requests that were right and were not taken on.</summary>
static class RefusalCount
{
    /// <returns>The error itself, whether it is counted or not.</returns>
    public static ApiError Count(this CoordinatorMetrics metrics, ApiError error)
    {
        if (error.Code is { } code && ApiError.RefusalCodes.Contains(code)) metrics.RequestsRefused(code);
        return error;
    }
}
