using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>Makes sure that a worker that registers is reached at the address that it announced.</summary>
public interface IWorkerConfirmation
{
    /// <returns>Null if the worker at this address has proved that it knows the key. Else why not, as the second half of a sentence.</returns>
    Task<string?> FirstProblemAsync(Uri address, PeerKey key, CancellationToken cancellation);
}

/// <summary>
/// Calls the worker back. Without this, a worker behind a wrong address would be planned with, and a stranger could register in the name of
/// another worker's address and so push that one out of the cluster.
/// </summary>
public sealed class WorkerConfirmation(IPeerConnector peers, TimeProvider time) : IWorkerConfirmation, IDisposable
{
    /// <summary>Shorter than <see cref="RpcSettings.CallDeadline"/>, so that the worker is told.</summary>
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(6);

    /// <summary>Anyone may register, so calls back are few at a time.</summary>
    readonly SemaphoreSlim _slots = new(32);

    public async Task<string?> FirstProblemAsync(Uri address, PeerKey key, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellation, deadline.Token);
        var taken = false;
        try
        {
            await _slots.WaitAsync(ends.Token);
            taken = true;
            using var connection = peers.Connect(address);
            var challenge = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(PeerKey.Length));
            var client = new Identity.IdentityClient(connection.Calls);
            var reply = await client.ConfirmAsync(new ConfirmRequest { Challenge = challenge }, cancellationToken: ends.Token);
            return key.IsProven(challenge, reply.Proof) ? null : "another worker answers there";
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return RpcProblem.Describe(e);
        }
        finally
        {
            if (taken) _slots.Release();
        }
    }

    public void Dispose() => _slots.Dispose();
}
