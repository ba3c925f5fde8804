using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>
/// Silos whose processes were killed are still in the list of those that are alive. One that joins would try to reach them for many seconds, and calls of
/// their grains would fail. But a port that refuses connections says at once that nobody is there any more.
/// </summary>
static class KilledSilos
{
    /// <summary>A machine that does not answer at all may be alive: that is left to the silos that watch it.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Takes them for dead, before another silo joins.</summary>
    public static async Task BuryAsync(IMembershipTable table, CancellationToken cancellation)
    {
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true, cancellation);
        var alive = (await table.ReadAllAsync(cancellation)).Members.Select(member => member.Item1).Where(silo => silo.Status != SiloStatus.Dead).ToList();
        var refusing = await Task.WhenAll(alive.Select(silo => RefusesAsync(silo.SiloAddress.Endpoint, cancellation)));
        foreach (var (silo, refuses) in alive.Zip(refusing))
        {
            if (!refuses) continue;
            var now = await table.ReadRowAsync(silo.SiloAddress, cancellation);   // each change of the table is of its newest version
            if (now.Members is not [var (entry, etag)]) continue;
            entry.Status = SiloStatus.Dead;
            await table.UpdateRowAsync(entry, etag, now.Version.Next(), cancellation);   // false: another silo was quicker, and did the same
        }
    }

    /// <summary>Takes one for dead that is in the list of a running silo.</summary>
    /// <returns>Whether it is out of the list.</returns>
    public static async Task<bool> TryBuryAsync(IClusterMembershipService members, string silo, CancellationToken cancellation)
    {
        var address = SiloAddress.FromParsableString(silo);
        if (members.CurrentSnapshot.GetSiloStatus(address) == SiloStatus.Dead) return true;
        return await RefusesAsync(address.Endpoint, cancellation) && await members.TryKill(address);
    }

    static async Task<bool> RefusesAsync(IPEndPoint end, CancellationToken cancellation)
    {
        using var socket = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(Patience);
        try
        {
            await socket.ConnectAsync(end, deadline.Token);
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
    }
}
