using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Profiling;

sealed partial class ProfileCache
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "The measurements in {Path} cannot be used and are made again: {Problem}")]
    partial void LogDamaged(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Measurements cannot be kept in {Folder}: {Problem}")]
    partial void LogNotKept(string folder, string problem);
}
