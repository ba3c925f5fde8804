using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker;

/// <summary>
/// The coordinator that this worker is registered with: it owns the cluster, and it alone may give orders. The worker and the coordinator show each
/// other the key of the registration. A coordinator with a lower epoch of the same cluster is an older one that has been replaced. Safe for
/// concurrent use.
/// </summary>
/// <param name="join">What this worker and its coordinator must both know. Null: nothing.</param>
sealed class ClusterOwner(TimeProvider time, JoinToken? join = null)
{
    readonly Lock _lock = new();
    PeerKey? _key;
    WorkerId? _worker;
    string _clusterId = "";
    ulong _epoch;
    CoordinatorSigns _signs = new(time);

    /// <summary>The same for as long as this process lives.</summary>
    public ByteString InstanceId { get; } = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(16));

    /// <summary>Of the registration under way or in force. Null: there was none yet.</summary>
    public PeerKey? Key
    {
        get
        {
            lock (_lock) return _key;
        }
    }

    public ulong Epoch
    {
        get
        {
            lock (_lock) return _epoch;
        }
    }

    /// <summary>
    /// Signs of life of this coordinator. They go on when the worker registers with it again; another one, or a later epoch, has signs of its own. So whoever
    /// serves a call of the coordinator takes them as the call begins.
    /// </summary>
    public CoordinatorSigns Signs
    {
        get
        {
            lock (_lock) return _signs;
        }
    }

    /// <summary>What this worker's calls to the coordinator carry.</summary>
    public Metadata Headers
    {
        get
        {
            lock (_lock) return _key?.ToHeaders(_worker) ?? [];
        }
    }

    /// <summary>What a registration carries beside its message.</summary>
    public Metadata JoinHeaders(RegisterRequest request) => join?.HeadersFor(request) ?? [];

    /// <summary>Makes sure that who answered a registration is the coordinator of this worker's cluster.</summary>
    /// <exception cref="RpcException">UNAUTHENTICATED: it does not know the join token.</exception>
    public void CheckAnswer(RegisterRequest request, Metadata trailers)
    {
        if (join?.ProblemOfCoordinator(request, trailers.GetValue(JoinToken.Header)) is { } problem)
            throw new RpcException(new Status(StatusCode.Unauthenticated, problem));
    }

    /// <summary>A registration begins. Earlier keys are worth nothing from now on.</summary>
    public PeerKey Begin()
    {
        lock (_lock)
        {
            _worker = null;
            return _key = PeerKey.Create();
        }
    }

    /// <summary>The coordinator has taken this worker in.</summary>
    /// <returns>Whether it is another cluster than the one before.</returns>
    /// <exception cref="RpcException">ABORTED: this worker knows a newer coordinator of the same cluster.</exception>
    public bool Complete(WorkerId worker, string clusterId, ulong epoch)
    {
        lock (_lock)
        {
            if (clusterId == _clusterId && epoch < _epoch)
                throw new RpcException(new Status(StatusCode.Aborted, $"its epoch {epoch} of cluster {clusterId} is over: this worker has met epoch {_epoch}"));
            var isOther = clusterId != _clusterId;
            if (isOther || epoch != _epoch) _signs = new CoordinatorSigns(time);
            (_worker, _clusterId, _epoch) = (worker, clusterId, epoch);
            return isOther;
        }
    }
}
