using System.Threading.Channels;
using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>What becomes of parts that are fetched. Called from any thread.</summary>
/// <param name="Arrived">Gets how many bytes more are here; fewer than 0 when those of a part are lost.</param>
/// <param name="Whole">Gets each part that has come from a peer, or was found in the cache.</param>
/// <param name="FromCoordinator">Fetches parts from the coordinator, and tells of each when it is whole.</param>
sealed record PeerFetchCalls(
    Action<long> Arrived, Action<CachedTensor, bool> Whole, Func<TensorPart[], Action<TensorPart>, CancellationToken, Task> FromCoordinator);

/// <summary>
/// Fetches parts of the model into the cache from wherever the coordinator says: from workers that have them, some parts at a time, and from the coordinator
/// what no worker has. A peer is believed nothing: a part counts once it hashes to what the coordinator says. What a peer does not give, or gives wrong or
/// slowly, is reported, and the coordinator names another source.
/// </summary>
sealed partial class PeerWeights(CoordinatorWeights coordinator, WeightsCache cache, PeerChannels channels, TimeSpan patience, ILogger logger)
{
    /// <summary>Calls of the coordinator at a time: while one brings its last parts, the next begins.</summary>
    const int CoordinatorStreams = 2;

    /// <summary>The most parts that the coordinator may name peers for at a time.</summary>
    const int MostFromPeers = 64;

    /// <summary>A peer that gives less is given up: another one, or the coordinator, has the same.</summary>
    const int LeastBytesPerSecond = 64 << 10;

    static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(10);

    CoordinatorWeights Coordinator => coordinator;

    WeightsCache Cache => cache;

    PeerChannels Channels => channels;

    TimeSpan Patience => patience;

    LeastPace Pace { get; } = PaceOf(patience / 2 < LongestSilence ? patience / 2 : LongestSilence);

    /// <param name="here">What others can have from this worker already.</param>
    /// <exception cref="SharingException">The coordinator does not say where parts are. What is whole by then stays.</exception>
    /// <exception cref="RpcException">It does not give them. The status says why.</exception>
    public async Task FetchAsync(TensorPart[] wanted, IReadOnlyList<TensorPart> here, PeerFetchCalls calls, CancellationToken cancellation)
    {
        using var run = new Run(this, wanted, calls, cancellation);
        await run.ToEndAsync(here);
    }

    static LeastPace PaceOf(TimeSpan within) => new(Math.Max(2, (long)(LeastBytesPerSecond * within.TotalSeconds)), within);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Tensor} did not come from worker {Name} ({Address}), fetching it elsewhere: {Problem}")]
    partial void LogFailed(string tensor, string name, string address, string problem);

    /// <summary>One stream of Share, and what comes of it.</summary>
    sealed class Run(PeerWeights owner, TensorPart[] wanted, PeerFetchCalls calls, CancellationToken cancellation) : IDisposable
    {
        readonly CancellationTokenSource _ends = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        readonly CancellationTokenSource _silence = new();
        readonly Dictionary<Uri, GrpcChannel> _channels = [];
        readonly Dictionary<TensorPart, int> _indexes = wanted.Index().ToDictionary(part => part.Item, part => part.Index);

        // Each part is at one place at a time, so that these never hold more than there are parts.
        readonly Channel<Wire.ShareRequest> _news = Channel.CreateBounded<Wire.ShareRequest>(wanted.Length + 1);
        readonly Channel<int> _claimed = Channel.CreateBounded<int>(wanted.Length);
        int _missing = wanted.Length, _fromPeers;

        public async Task ToEndAsync(IReadOnlyList<TensorPart> here)
        {
            await using var silent = _silence.Token.Register(_ends.Cancel);
            using var call = owner.Coordinator.Share(_ends.Token);
            _news.Writer.TryWrite(owner.Coordinator.Hello(here, wanted));
            StillGoing();
            List<Task> tasks = [TellAsync(call.RequestStream), HearAsync(call.ResponseStream)];
            for (var i = 0; i < CoordinatorStreams; i++) tasks.Add(FromCoordinatorAsync());
            try
            {
                await foreach (var task in Task.WhenEach(tasks)) await task;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                await Task.WhenAll(tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (tasks.Find(task => task.IsFaulted) is { } failed) await failed;
                throw new SharingException($"nothing has come and no source was named for {owner.Patience.TotalSeconds:0.##} s");
            }
            finally
            {
                await _ends.CancelAsync();
                await Task.WhenAll(tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        public void Dispose()
        {
            foreach (var channel in _channels.Values) channel.Dispose();
            _silence.Dispose();
            _ends.Dispose();
        }

        async Task TellAsync(IClientStreamWriter<Wire.ShareRequest> requests)
        {
            await foreach (var news in _news.Reader.ReadAllAsync(_ends.Token)) await SharingAsync(() => requests.WriteAsync(news, _ends.Token));
            await SharingAsync(requests.CompleteAsync);
        }

        /// <summary>Hears where parts are. Ends when all have come, or one cannot be had.</summary>
        async Task HearAsync(IAsyncStreamReader<Wire.ShareReply> replies)
        {
            List<Task> fetching = [];
            try
            {
                while (await NextAsync(replies))
                {
                    StillGoing();
                    foreach (var source in replies.Current.Sources) Take(source, fetching);
                    foreach (var over in fetching.Where(task => task.IsCompleted).ToList()) await over;
                    fetching.RemoveAll(task => task.IsCompleted);
                }
                if (Volatile.Read(ref _missing) > 0) throw new SharingException("the coordinator ended the stream that says where parts are");
            }
            finally
            {
                await Task.WhenAll(fetching);
            }
        }

        async Task<bool> NextAsync(IAsyncStreamReader<Wire.ShareReply> replies)
        {
            var isThere = false;
            await SharingAsync(async () => isThere = await replies.MoveNext(_ends.Token));
            return isThere;
        }

        void Take(Wire.PartSource source, List<Task> fetching)
        {
            if (source.Index >= wanted.Length) throw new SharingException($"the coordinator names a source of part {source.Index}, of {wanted.Length}");
            var index = (int)source.Index;
            if (source.Peer is null)
            {
                if (!_claimed.Writer.TryWrite(index)) throw new SharingException("the coordinator names more sources than there are parts");
                return;
            }
            if (Interlocked.Increment(ref _fromPeers) > MostFromPeers)
                throw new SharingException($"the coordinator names peers for more than {MostFromPeers} parts at a time");
            var peer = PeerSource.Read(source);
            if (!_channels.TryGetValue(peer.Address, out var channel)) _channels.Add(peer.Address, channel = owner.Channels.Open(peer.Address));
            fetching.Add(FromPeerAsync(index, peer, channel));
        }

        async Task FromCoordinatorAsync()
        {
            while (await _claimed.Reader.WaitToReadAsync(_ends.Token))
            {
                List<TensorPart> parts = [];
                while (_claimed.Reader.TryRead(out var index)) parts.Add(wanted[index]);
                if (parts.Count > 0) await calls.FromCoordinator([.. parts], part => Came(_indexes[part]), _ends.Token);
            }
        }

        async Task FromPeerAsync(int index, PeerSource source, GrpcChannel channel)
        {
            var (part, arrived) = (wanted[index], 0L);
            try
            {
                if (await TryAsync(index, source, channel, Arrived)) return;
                await FailedAsync("its bytes are others than the coordinator's model has", isMissing: false);
            }
            catch (Exception e) when (e is RpcException or FetchException && !_ends.IsCancellationRequested)
            {
                await FailedAsync(RpcProblem.Describe(e), e is RpcException { StatusCode: StatusCode.NotFound });
            }
            catch
            {
                await _ends.CancelAsync();   // as where the disk is full
                throw;
            }
            finally
            {
                Interlocked.Decrement(ref _fromPeers);
            }

            void Arrived(long bytes)
            {
                arrived += bytes;
                StillGoing();
                calls.Arrived(bytes);
            }

            async Task FailedAsync(string problem, bool isMissing)
            {
                calls.Arrived(-arrived);
                owner.LogFailed(part.Tensor.Name, source.Name, PeerAddress.Format(source.Address), problem);
                var failed = new Wire.FailedPart { Index = (uint)index, Missing = isMissing };
                await _news.Writer.WriteAsync(new Wire.ShareRequest { Failed = { failed } }, _ends.Token);
            }
        }

        /// <returns>False if what came is wrong.</returns>
        async Task<bool> TryAsync(int index, PeerSource source, GrpcChannel channel, Action<long> arrived)
        {
            var (part, coordinator) = (wanted[index], owner.Coordinator);
            // Another worker of this machine may have put it into the cache that they share.
            if (source.PartHash is { } known && owner.Cache.TryOpen(coordinator.Digest, part, known) is { } there)
            {
                arrived(part.Bytes);
                calls.Whole(there, false);
                Came(index);
                return true;
            }
            using var writer = owner.Cache.Create(coordinator.Digest, part);
            var (client, headers) = (new Wire.PeerWeights.PeerWeightsClient(channel), source.Key.ToHeaders());
            var request = coordinator.Asking(part, source.PartHash);
            using var receiver = new ChunkReceiver(
                ends => client.Give(request, headers, cancellationToken: ends), coordinator.ViewVersion, owner.Pace, _ends.Token);
            await receiver.ReceiveAsync(0, writer, bytes => arrived(bytes));
            var right = source.PartHash ?? (await coordinator.HashesAsync([part], NoProgress.Instance, _ends.Token))[part];
            if (writer.Hash != right) return false;
            calls.Whole(writer.Commit(), true);
            Came(index);
            return true;
        }

        /// <summary>This worker has a part, and others can have it from here.</summary>
        void Came(int index)
        {
            StillGoing();
            _news.Writer.TryWrite(new Wire.ShareRequest { Came = { (uint)index } });
            if (Interlocked.Decrement(ref _missing) > 0) return;
            _news.Writer.TryComplete();
            _claimed.Writer.TryComplete();
        }

        void StillGoing() => _silence.CancelAfter(owner.Patience);

        /// <summary>Does what the stream is for, and gives its failures one form.</summary>
        async Task SharingAsync(Func<Task> work)
        {
            try
            {
                await work();
            }
            catch (Exception e) when (e is RpcException or InvalidOperationException or IOException && !_ends.IsCancellationRequested)
            {
                throw new SharingException(RpcProblem.Describe(e));
            }
        }
    }

    /// <summary>The bytes of a part were counted as they came.</summary>
    sealed class NoProgress : IProgress<long>
    {
        public static NoProgress Instance { get; } = new();

        public void Report(long value) { }
    }

    /// <summary>A worker that has a part.</summary>
    /// <param name="PartHash">What the part must hash to. Null: not said.</param>
    sealed record PeerSource(string Name, Uri Address, PeerKey Key, string? PartHash)
    {
        const int LongestName = 200;

        /// <exception cref="SharingException">It cannot be.</exception>
        public static PeerSource Read(Wire.PartSource source)
        {
            try
            {
                return new PeerSource(
                    Field.Text("peer.name", source.Peer.Name, LongestName), Field.Address("peer.address", source.Peer.Address),
                    PeerKey.Read("peer.key", source.Peer.Key), source.PartHash.Length == 0 ? null : Field.Digest("part_hash", source.PartHash));
            }
            catch (InvalidMessageException e)
            {
                throw new SharingException(e.Message);
            }
        }
    }
}

/// <summary>The coordinator does not say which workers have which parts. The message is one line. It has all parts itself.</summary>
sealed class SharingException(string message) : Exception(message);
