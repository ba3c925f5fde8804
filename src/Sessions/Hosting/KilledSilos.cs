using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>
/// Silos of this machine whose processes were killed are still in the list of those that are alive. One that joins would try to reach them for many seconds.
/// But a loopback port that refuses connections says at once that nobody is there any more.
/// </summary>
static class KilledSilos
{
    /// <summary>Takes them for dead, before another silo joins. Those of other machines are left to the silos that watch them.</summary>
    public static async Task BuryAsync(IMembershipTable table, CancellationToken cancellation)
    {
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, cancellation);
        foreach (var (silo, _) in (await table.ReadAllAsync(cancellation)).Members)
        {
            if (silo.Status == SiloStatus.Dead || !IPAddress.IsLoopback(silo.SiloAddress.Endpoint.Address)) continue;
            if (await ListensAsync(silo.SiloAddress.Endpoint, cancellation)) continue;
            var now = await table.ReadRowAsync(silo.SiloAddress, cancellation);   // each change of the table is of its newest version
            if (now.Members is not [var (entry, etag)]) continue;
            entry.Status = SiloStatus.Dead;
            await table.UpdateRowAsync(entry, etag, now.Version.Next(), cancellation);   // false: another silo was quicker, and did the same
        }
    }

    static async Task<bool> ListensAsync(IPEndPoint end, CancellationToken cancellation)
    {
        using var socket = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(end, cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
