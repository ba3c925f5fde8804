using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Sharing;

/// <summary>
/// Keeps the <see cref="PartDirectory"/> of the served model for the workers that share its weights, and tells each where to fetch what it wants as soon as
/// that can be said. Safe for concurrent use.
/// </summary>
sealed class PartSharing(ServedWeights weights, WorkerRegistry registry, SharingLimits limits, TimeProvider time)
{
    /// <summary>How often it is looked whether workers were lost or suspected that others wait for.</summary>
    static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    /// <summary>A worker that was told nothing for so long, and has nothing to fetch, does not wait for others any more.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    readonly PartDirectory _directory = new(limits);
    readonly Dictionary<PartGetter, Channel<bool>> _waiting = [];
    readonly Lock _lock = new();   // of all three
    MembershipSnapshot? _seen;

    /// <summary>One worker's stream: what it has, what it wants, and how it goes.</summary>
    /// <exception cref="InvalidMessageException">The worker says what cannot be.</exception>
    public async Task RunAsync(
        WorkerId worker, IAsyncStreamReader<ShareRequest> requests, IServerStreamWriter<ShareReply> replies, CancellationToken cancellation)
    {
        var first = await FirstAsync(requests, cancellation);
        if (Field.Digest("model_digest", first.ModelDigest) != weights.Digest) throw weights.NotServed(first.ModelDigest);
        TensorPart[] here = [.. first.Here.Select(weights.Files.PartOf)], wanted = [.. first.Wanted.Select(weights.Files.PartOf)];
        var news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        PartGetter getter;
        lock (_lock)
        {
            var present = Present(_ => true);
            _directory.Forget(other => !present.Contains(other));
            _directory.Hold(worker, first.AllHere, here);
            Wake();
            if (wanted.Length == 0) return;
            _waiting.Add(getter = _directory.Begin(worker, wanted), news);
        }
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            var told = TellAsync(getter, news.Reader, replies, ends.Token);
            var heard = HearAsync(getter, requests, ends.Token);
            var over = await Task.WhenAny(told, heard);
            await ends.CancelAsync();
            await Task.WhenAll(told, heard).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await over;
        }
        finally
        {
            lock (_lock)
            {
                _directory.End(getter);
                _waiting.Remove(getter);
                Wake();
            }
        }
    }

    /// <summary>A worker that calls has its first message ready.</summary>
    static async Task<ShareRequest> FirstAsync(IAsyncStreamReader<ShareRequest> requests, CancellationToken cancellation)
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        late.CancelAfter(RpcSettings.CallDeadline);
        return await requests.MoveNext(late.Token) ? requests.Current : throw new InvalidMessageException("the stream has no message");
    }

    async Task HearAsync(PartGetter getter, IAsyncStreamReader<ShareRequest> requests, CancellationToken cancellation)
    {
        while (await requests.MoveNext(cancellation))
        {
            lock (_lock)
            {
                foreach (var index in requests.Current.Came) Check("came", index, _directory.TryNoteCame(getter, (int)index));
                foreach (var failed in requests.Current.Failed)
                    Check("failed", failed.Index, _directory.TryNoteFailed(getter, (int)failed.Index, failed.Missing));
                Wake();
            }
        }
    }

    static void Check(string field, uint index, bool wasTold)
    {
        if (!wasTold) throw new InvalidMessageException($"{field}: the worker was not told to fetch part {index}");
    }

    async Task TellAsync(PartGetter getter, ChannelReader<bool> news, IServerStreamWriter<ShareReply> replies, CancellationToken cancellation)
    {
        var lastTold = time.GetTimestamp();
        while (true)
        {
            IReadOnlyList<PartHandout> handouts;
            lock (_lock)
            {
                if (getter.HasAll) return;
                if (!getter.IsWaiting) lastTold = time.GetTimestamp();
                SeeWhoIsWell();
                handouts = _directory.Next(getter, time.GetElapsedTime(lastTold) >= Patience);
                Wake();
            }
            if (handouts.Count > 0)
            {
                lastTold = time.GetTimestamp();
                await replies.WriteAsync(new ShareReply { Sources = { handouts.Select(handout => SourceOf(getter, handout)) } }, cancellation);
            }
            using var look = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var woken = news.WaitToReadAsync(look.Token).AsTask();
            await Task.WhenAny(woken, Task.Delay(Look, time, look.Token));
            await look.CancelAsync();
            cancellation.ThrowIfCancellationRequested();
            news.TryRead(out _);
        }
    }

    /// <summary>A peer that was lost this very moment cannot be reached, which the worker will tell.</summary>
    PartSource SourceOf(PartGetter getter, PartHandout handout)
    {
        var source = new PartSource { Index = (uint)handout.Index, PartHash = weights.Hashes.Find(getter.Wanted[handout.Index]) ?? "" };
        if (handout.Peer is { } id && registry.Snapshot.Find(id) is { } peer)
            source.Peer = new WeightsPeer
            {
                WorkerId = id.Value,
                Name = peer.Name,
                Address = PeerAddress.Format(peer.Address),
                Key = peer.Key.For(PeerKey.Weights).ToMessage(),
            };
        return source;
    }

    HashSet<WorkerId> Present(Predicate<Member> which) =>
        [.. registry.Snapshot.Members.Where(member => !member.IsLost && which(member)).Select(member => member.Id)];

    /// <summary>Under the lock.</summary>
    void SeeWhoIsWell()
    {
        if (ReferenceEquals(_seen, registry.Snapshot)) return;
        _seen = registry.Snapshot;
        _directory.SetWell(Present(member => !member.IsSuspected));
    }

    /// <summary>Under the lock.</summary>
    void Wake()
    {
        foreach (var getter in _directory.TakeChanged())
            if (_waiting.TryGetValue(getter, out var news)) news.Writer.TryWrite(true);
    }
}
