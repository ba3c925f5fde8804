using System.Runtime.InteropServices;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>struct pollfd.</summary>
[StructLayout(LayoutKind.Sequential)]
record struct PollEntry(int File, short Wanted, short Found);
