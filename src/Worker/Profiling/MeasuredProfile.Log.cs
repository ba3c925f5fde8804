using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Profiling;

sealed partial class MeasuredProfile
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Measured this machine in {Seconds:0.0} s with {Threads} threads: reads {Read:0.0} GB/s (all processors {HostRead:0.0}), {MultiplyAdds:0} G multiply-adds/s")]
    partial void LogMeasured(double seconds, int threads, double read, double hostRead, double multiplyAdds);
}
