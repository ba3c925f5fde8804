using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>
/// The other ranks of a stage. They need each other in every step: nobody finishes one before all others have begun it, and who loses sight of another
/// cannot go on. The higher rank calls the lower one, as the real ones do. What they compute of the model is the same on all of them.
/// </summary>
sealed class SimRanks(SimView view, SimWorker worker)
{
    public const string Link = "/simulated/Link";

    static readonly Method<SimFrame, SimFrame> MeetRank = SimView.Method("Link");

    readonly List<Func<SimFrame, Task>> _others = [];
    readonly Dictionary<ulong, int> _begun = [];   // by step: how many of the others

    int Others => view.Order.Assignment.Shard.Slice.RankCount - 1;

    public bool AreLinked => _others.Count == Others;

    /// <summary>Calls the lower ranks.</summary>
    /// <returns>The connections, to be closed with the view.</returns>
    public IReadOnlyList<PeerConnection> Call()
    {
        var own = view.Order.Assignment;
        List<PeerConnection> connections = [];
        foreach (var lower in view.Order.Plan.Ranks(own.Stage)[..own.Shard.Slice.Rank])
        {
            var connection = worker.Peers.Connect(lower.Address);
            connections.Add(connection);
            var call = connection.Calls.AsyncDuplexStreamingCall(MeetRank, null, new CallOptions());
            worker.Process.Begin(() => MeetAsync(call.ResponseStream, call.RequestStream.WriteAsync));
        }
        return connections;
    }

    public void Begin(ulong step)
    {
        foreach (var other in _others) _ = other(new SimFrame(view.Version, step, []));
    }

    public bool HaveBegun(ulong step) => Others == 0 || _begun.GetValueOrDefault(step) == Others;

    /// <summary>Says hello to another rank, and hears it until one of the two ends.</summary>
    public async Task MeetAsync(IAsyncStreamReader<SimFrame> from, Func<SimFrame, Task> to)
    {
        _others.Add(to);
        _ = to(new SimFrame(view.Version, 0, []));
        view.Wake();
        try
        {
            while (await from.MoveNext(view.Over))
            {
                var step = from.Current.Step;
                if (step > 0) _begun[step] = _begun.GetValueOrDefault(step) + 1;
                view.Wake();
            }
            view.Break(0, Wire.StepFailed.Types.Reason.PeerLost, "another rank of the stage hung up");
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            view.Break(0, Wire.StepFailed.Types.Reason.PeerLost, "the link to another rank of the stage broke");
        }
    }
}
