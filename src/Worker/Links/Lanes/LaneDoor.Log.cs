using System.Net;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Lanes;

sealed partial class LaneDoor
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Hung up on {Caller}, which came for a lane between ranks: {Problem}")]
    partial void LogHungUp(EndPoint? caller, string problem);
}
