using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Sources;

sealed partial class LocalModels
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{Path} is another model ({Found}) than the plan's ({Wanted}); looking elsewhere")]
    partial void LogOtherModel(string path, string found, string wanted);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Looking elsewhere for the model: {Problem}")]
    partial void LogUnusable(string problem);
}
