using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

sealed partial class WeightsCache
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Cached weights {Path} are damaged ({Problem}): fetching them again")]
    partial void LogDamaged(string path, string problem);
}
