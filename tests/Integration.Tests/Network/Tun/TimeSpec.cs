using System.Runtime.InteropServices;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>struct timespec of 64-bit systems.</summary>
[StructLayout(LayoutKind.Sequential)]
readonly record struct TimeSpec(long Seconds, long Nanoseconds)
{
    public static TimeSpec Of(TimeSpan span) => new(span.Ticks / TimeSpan.TicksPerSecond, span.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick);
}
