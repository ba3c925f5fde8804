using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator;

public sealed partial class CoordinatorHost
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Serving {Model} ({Digest}), {ContextLength} tokens of context")]
    static partial void LogServing(ILogger logger, string model, string digest, int contextLength);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Chat is refused, completions work: the model's chat template cannot be read: {Problem}")]
    static partial void LogTemplate(ILogger logger, string problem);
}
