using LlamaCluster.Coordinator.Membership;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Measuring;

public sealed partial class LinkMeter
{
    [LoggerMessage(Level = LogLevel.Information, Message = "From {From} to {To}: round trip {Microseconds:0} us, {Megabytes:0} MB/s")]
    partial void LogMeasured(Member from, Member to, double microseconds, double megabytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The way from {From} to {To} is not measured: {Problem}")]
    partial void LogNotMeasured(Member from, Member to, string problem);
}
