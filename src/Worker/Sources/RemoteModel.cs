using System.Collections.Concurrent;
using Grpc.Core;
using LlamaCluster.Cluster.Hub;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Orders;
using Phase = LlamaCluster.Protos.LoadProgress.Types.Phase;

namespace LlamaCluster.Worker.Sources;

sealed partial class RemoteModels
{
    /// <summary>A model whose parts come over the network, and what is known of them.</summary>
    sealed class RemoteModel(RemoteModels models, CoordinatorWeights coordinator, CachedWeights weights, HubWeights? hub) : OpenedModel
    {
        readonly WeightsCache _cache = models.Cache;

        /// <summary>What the coordinator says that parts hash to, as far as it was asked.</summary>
        readonly ConcurrentDictionary<TensorPart, string> _hashes = [];

        /// <summary>Parts that are fetched from the hub; the coordinator has to be asked what they hash to.</summary>
        readonly HashSet<TensorPart> _ofHub = [];

        /// <summary>Parts that the hub has given wrong.</summary>
        readonly HashSet<TensorPart> _wrongInHub = [];

        /// <summary>Others can have what is in the cache. Null: nobody asks this worker.</summary>
        readonly IDisposable? _offer = coordinator.AreShared ? models.Given.AddCached(coordinator.Digest, weights) : null;

        volatile bool _hubGivenUp;
        string? _fetchedFrom;

        public override IModelWeights Weights => weights;

        public override string Source => _fetchedFrom ?? $"cache {_cache.FolderOf(coordinator.Digest)}";

        public override string? LocalPath => null;

        public override bool IsCompared => true;

        public override bool Lasts => true;

        public override Task OfferAsync(CoordinatorWeights asked, CancellationToken cancellation) =>
            _offer is null ? Task.CompletedTask : models.Given.OfferAsync(asked, _cache.PartsOf(asked.Digest, weights.Find), cancellation);

        /// <summary>Obtains the divisors of RoPE, which the config lacks.</summary>
        public async Task CompleteAsync(TensorPart factors, LoadProgressFeed progress, CancellationToken cancellation)
        {
            using var nothing = new LoadedParts();
            await (await ObtainAsync([factors], nothing, progress, cancellation)).All;
            if (TryMend(cancellation)) await (await ObtainAsync([factors], nothing, progress, cancellation)).All;
            var stored = new byte[factors.Bytes];
            weights.ReadPart(factors, stored);
            var divisors = new float[factors.Tensor.Columns];
            RowDecoder.Decode(factors.Tensor.Type, stored, divisors);
            var complete = weights.Config with { RopeScaling = new RopeScaling.Factors(divisors) };
            if (LlamaConfigRules.FirstProblem(complete) is { } problem)
                throw new RpcException(new Status(StatusCode.DataLoss, $"{factors.Tensor.Name}: {problem}"));
            weights.Complete(complete);
        }

        public override async Task<Arrival> ObtainAsync(
            IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation)
        {
            var total = parts.Sum(part => part.Bytes);
            progress.Begin(Phase.Opening, total, $"cache {_cache.FolderOf(coordinator.Digest)}");
            await OpenWhatIsThereAsync(parts, loaded, progress, cancellation);
            TensorPart[] missing = [.. parts.Where(part => loaded.Find(part) is null && weights.CachedPart(part) is null)];
            if (_cache.MakeRoom(coordinator.Digest, missing.Sum(part => part.Bytes + CachedTensor.TrailerBytes)) is { } problem)
                throw new RpcException(new Status(StatusCode.ResourceExhausted, problem));
            if (missing.Length == 0) return Arrival.Over;
            TensorPart[] ofHub = hub is null || _hubGivenUp ? [] : [.. missing.Where(part => hub.Has(part) && !_wrongInHub.Contains(part))];
            _ofHub.UnionWith(ofHub);
            if (ofHub.Length > 0) models.LogFromHub(ofHub.Length, ofHub.Sum(part => part.Bytes), hub!.Host, missing.Length - ofHub.Length);
            progress.Begin(Phase.Fetching, total, _fetchedFrom = ofHub.Length > 0 ? $"hub {hub!.Host}" : coordinator.AreShared ? "peers" : "coordinator");
            weights.Expect(missing);
            var meter = new FetchMeter(progress, total - missing.Sum(part => part.Bytes));
            return new Arrival(FetchAsync(ofHub, [.. missing.Except(ofHub)], meter, cancellation));
        }

        public override async Task<IReadOnlyDictionary<TensorPart, string>> HashesAsync(
            IReadOnlyList<TensorPart> parts, IProgress<long> progress, CancellationToken cancellation)
        {
            TensorPart[] unsaid = [.. parts.Where(part => _ofHub.Contains(part) && !_hashes.ContainsKey(part))];
            foreach (var (part, hash) in await coordinator.HashesAsync(unsaid, progress, cancellation)) _hashes[part] = hash;
            return _hashes;
        }

        public override void Refuse(IReadOnlyList<TensorPart> parts)
        {
            foreach (var part in parts)
            {
                if (_ofHub.Remove(part) && _wrongInHub.Add(part)) models.LogOtherBytes(part.Tensor.Name, hub!.Host);
                if (weights.CachedPart(part) is { } cached) Remove(cached, "the hash does not agree");
            }
        }

        public override bool TryMend(CancellationToken cancellation)
        {
            var checkedEntries = weights.Cached.Select(cached => (Entry: cached, Problem: cached.DataProblem(cancellation)));
            var damaged = checkedEntries.Where(entry => entry.Problem is not null).ToList();
            foreach (var (entry, problem) in damaged) Remove(entry, problem!);
            return damaged.Count > 0;
        }

        public override void Dispose()
        {
            _offer?.Dispose();
            weights.Dispose();
            hub?.Dispose();
        }

        void Remove(CachedTensor damaged, string problem)
        {
            weights.Remove(damaged);
            _cache.Remove(damaged, problem);
        }

        /// <summary>Opens the entries that have the hashes that the coordinator says. It is asked only for parts that something is there of.</summary>
        async Task OpenWhatIsThereAsync(IReadOnlyList<TensorPart> parts, LoadedParts loaded, LoadProgressFeed progress, CancellationToken cancellation)
        {
            _cache.RemoveAbandoned(coordinator.Digest);
            var entries = _cache.EntriesOf(coordinator.Digest);
            bool IsHere(TensorPart part) => entries.Contains(WeightsCache.NameOf(part)) || loaded.Find(part) is { Hash: not null };
            TensorPart[] unsure = [.. parts.Where(part => !_hashes.ContainsKey(part) && IsHere(part))];
            foreach (var (part, hash) in await coordinator.HashesAsync(unsure, progress, cancellation)) _hashes[part] = hash;
            foreach (var part in parts)
                if (weights.CachedPart(part) is null && _hashes.TryGetValue(part, out var hash) && _cache.TryOpen(coordinator.Digest, part, hash) is { } cached)
                    Take(cached, WeightsOrigin.Cache);
        }

        /// <summary>From both at the same time. If one fails for good, so does the other.</summary>
        async Task FetchAsync(TensorPart[] ofHub, TensorPart[] others, FetchMeter meter, CancellationToken cancellation)
        {
            using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            try
            {
                Task[] both =
                [
                    FetchFromHubAsync(ofHub, meter, ends.Token),
                    coordinator.AreShared ? FetchFromPeersAsync(others, meter, ends.Token) : FetchFromCoordinatorAsync(others, meter, ends.Token),
                ];
                var first = await Task.WhenAny(both);
                if (!first.IsCompletedSuccessfully) await ends.CancelAsync();
                await Task.WhenAll(both).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await first;
                await Task.WhenAll(both);
            }
            finally
            {
                weights.ExpectNothing();
            }
        }

        async Task FetchFromHubAsync(TensorPart[] parts, FetchMeter meter, CancellationToken cancellation)
        {
            if (parts.Length == 0) return;
            try
            {
                await hub!.FetchAsync(parts, meter.Add, cached => Take(cached, WeightsOrigin.Hub), cancellation);
            }
            catch (HubException refused)
            {
                _hubGivenUp = true;
                models.LogHubGivenUp(refused.Message);
                await FetchFromCoordinatorAsync([.. parts.Where(part => weights.CachedPart(part) is null)], meter, cancellation);
            }
        }

        /// <summary>What workers have from them, and the rest from the coordinator, as it says.</summary>
        async Task FetchFromPeersAsync(TensorPart[] parts, FetchMeter meter, CancellationToken cancellation)
        {
            if (parts.Length == 0) return;
            models.LogFromPeers(parts.Length, parts.Sum(part => part.Bytes));
            try
            {
                await models.PeersFor(coordinator).FetchAsync(
                    parts, _cache.PartsOf(coordinator.Digest, weights.Find),
                    new PeerFetchCalls(meter.Add, TakeChecked, (some, whole, ends) => FetchFromCoordinatorAsync(some, meter, ends, whole)), cancellation);
            }
            catch (SharingException refused)
            {
                models.LogSharingGivenUp(refused.Message);
                await FetchFromCoordinatorAsync([.. parts.Where(part => weights.CachedPart(part) is null)], meter, cancellation);
            }
        }

        /// <param name="whole">Gets each part when it is.</param>
        Task FetchFromCoordinatorAsync(TensorPart[] parts, FetchMeter meter, CancellationToken cancellation, Action<TensorPart>? whole = null) =>
            parts.Length == 0 ? Task.CompletedTask : coordinator.AskAsync(() => FetchAsync(parts, meter, whole, cancellation), cancellation);

        /// <summary>A part hashes to what the coordinator says.</summary>
        void TakeChecked(CachedTensor cached, bool ofPeer)
        {
            _hashes[cached.Part] = cached.Hash;
            Take(cached, ofPeer ? WeightsOrigin.Peer : WeightsOrigin.Cache);
        }

        void Take(CachedTensor cached, WeightsOrigin origin)
        {
            weights.Add(cached);
            models.Metrics.WeightsObtained(origin, cached.Part.Bytes);
        }

        async Task<bool> FetchAsync(TensorPart[] missing, FetchMeter meter, Action<TensorPart>? whole, CancellationToken cancellation)
        {
            for (var attempt = 1; ; attempt++)
            {
                var arrived = 0L;   // of a part that is not whole
                try
                {
                    await foreach (var cached in coordinator.Fetch(_cache).RunAsync(missing, Arrived, cancellation))
                    {
                        arrived = 0;
                        _hashes[cached.Part] = cached.Hash;
                        Take(cached, WeightsOrigin.Coordinator);
                        whole?.Invoke(cached.Part);
                    }
                    return true;
                }
                catch (Exception e) when (attempt < Attempts && e is FetchException or RpcException { StatusCode: StatusCode.Unavailable })
                {
                    models.LogTryAgain(attempt, Attempts, RpcProblem.Describe(e));
                    meter.Add(-arrived);   // a part that broke off is fetched from its start
                    missing = [.. missing.Where(part => weights.CachedPart(part) is null)];
                }

                void Arrived(int bytes)
                {
                    arrived += bytes;
                    meter.Add(bytes);
                }
            }
        }
    }
}
