// Long because one rule keeps all these sets: each of them is changed by what changes the others.
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Sharing;

/// <summary>How much a worker is told to fetch at a time. What it is not told yet may by then be had from another worker.</summary>
sealed record SharingLimits
{
    /// <summary>Parts that a worker gets from others at a time.</summary>
    public int Got { get; init; } = 8;

    /// <summary>Parts that a worker gives at a time, to all others together.</summary>
    public int Given { get; init; } = 4;

    /// <summary>Bytes that a worker fetches from the coordinator before any others; a part that is bigger is fetched alone.</summary>
    public long Claimed { get; init; } = 64 << 20;
}

/// <summary>Where a worker is to fetch a part.</summary>
/// <param name="Index">Into what it wants.</param>
/// <param name="Peer">Null: from the coordinator.</param>
readonly record struct PartHandout(int Index, WorkerId? Peer);

/// <summary>
/// Who has which parts of a model's weights, who gets which, and from where. The rule is that the coordinator sends each byte once: a part that no worker
/// has is claimed by the first that wants it, who fetches it from the coordinator. Others that want it wait for that one to have it, and fetch what nobody
/// has claimed meanwhile. So several workers that want the same come by different parts first, and then give them to each other. A part can be had from
/// whoever has all of its rows and columns. What a peer could not give is handed out again, and what a worker has claimed is free again when it ends
/// without having it.
/// <para>
/// What happens to a part touches those that have and want its tensor, and nobody else: for each worker that wants parts there is a set of those that
/// each other one could give it, and of those that nobody has or has claimed. So what a worker may be told does not depend on how many parts are open.
/// </para>
/// </summary>
/// <remarks>Data only: no clock, no I/O. One caller at a time.</remarks>
sealed class PartDirectory(SharingLimits limits)
{
    readonly Dictionary<string, SharedTensor> _tensors = new(StringComparer.Ordinal);
    readonly Dictionary<WorkerId, PartHolder> _holders = [];
    readonly HashSet<PartHolder> _holdersOfAll = [], _idle = [];
    readonly List<PartGetter> _getters = [];
    readonly HashSet<PartGetter> _changed = [];
    HashSet<WorkerId>? _well;   // null: all

    /// <summary>What a worker has, in the place of all that was known of it.</summary>
    /// <param name="all">All of the model.</param>
    public void Hold(WorkerId worker, bool all, IEnumerable<TensorPart> here)
    {
        var holder = HolderOf(worker);
        Forget(other => other == holder);
        if (all)
        {
            _holdersOfAll.Add(holder);
            _changed.UnionWith(_getters);
        }
        else
            foreach (var part in here) Hold(holder, part);
    }

    /// <summary>These workers have nothing any more.</summary>
    public void Forget(Predicate<WorkerId> gone)
    {
        var lost = _holders.Values.Where(holder => gone(holder.Worker)).ToHashSet();
        if (lost.Count == 0) return;
        Forget(lost.Contains);
        foreach (var holder in lost)
        {
            _holders.Remove(holder.Worker);
            _idle.Remove(holder);
        }
    }

    /// <summary>No others than these can be expected to give what they have, and to get what they have claimed.</summary>
    public void SetWell(IReadOnlyCollection<WorkerId> workers)
    {
        if (_well?.SetEquals(workers) is true) return;
        _well = [.. workers];
        foreach (var holder in _holders.Values) holder.IsWell = _well.Contains(holder.Worker);
        foreach (var tensor in _tensors.Values)
            foreach (var open in tensor.Open) Judge(open);
        _changed.UnionWith(_getters);
    }

    /// <summary>A worker wants parts, in this order, from now until <see cref="End"/>.</summary>
    public PartGetter Begin(WorkerId worker, IReadOnlyList<TensorPart> wanted)
    {
        var getter = new PartGetter(HolderOf(worker), wanted);
        _getters.Add(getter);
        for (var index = 0; index < wanted.Count; index++) Open(getter, index);
        return getter;
    }

    /// <summary>Those that may be told something new since this was asked last, or that have all.</summary>
    public IReadOnlyList<PartGetter> TakeChanged()
    {
        PartGetter[] changed = [.. _changed];
        _changed.Clear();
        return changed;
    }

    /// <summary>What the worker may be told now, in the order in which it wants the parts.</summary>
    /// <param name="waitedLong">It has waited long enough for others: what it wants is handed out though others have claimed it, or are busy.</param>
    public IReadOnlyList<PartHandout> Next(PartGetter getter, bool waitedLong = false)
    {
        List<PartHandout> handouts = [];
        while (getter.Got < limits.Got && FirstOfPeers(getter) is { } found) HandOut(found);
        if (waitedLong || !_holdersOfAll.Any(holder => holder.CanGive(getter)))
            for (var claimable = waitedLong ? getter.Open : getter.Free; claimable.Count > 0 && MayClaim(getter, claimable.First);)
                HandOut((claimable.First, null));
        handouts.Sort((a, b) => a.Index.CompareTo(b.Index));
        return handouts;

        void HandOut((int Index, PartHolder? Peer) found)
        {
            handouts.Add(new PartHandout(found.Index, found.Peer?.Worker));
            Close(getter, found.Index);
            Note(getter, found.Index, found.Peer);
        }
    }

    /// <summary>The worker has a part that it was told to fetch.</summary>
    /// <returns>False if it was told of no such part.</returns>
    public bool TryNoteCame(PartGetter getter, int index)
    {
        if (!TryTakeBack(getter, index)) return false;
        Hold(getter.Self, getter.Wanted[index]);
        return true;
    }

    /// <summary>A peer did not give a part that the worker was told to fetch there.</summary>
    /// <param name="missing">The peer does not have it. Else it is of no use to this worker.</param>
    /// <returns>False if the worker was told of no such part.</returns>
    public bool TryNoteFailed(PartGetter getter, int index, bool missing)
    {
        if (!getter.HandedOut.TryGetValue(index, out var source) || source is not { } peer) return false;
        TryTakeBack(getter, index);
        if (missing) Lacks(peer, getter.Wanted[index]);
        else if (getter.Avoided.Add(peer))
            foreach (var open in getter.Parts) if (open is not null) Judge(open);
        Open(getter, index);
        return true;
    }

    /// <summary>The worker wants nothing any more. What it came to have stays known.</summary>
    public void End(PartGetter getter)
    {
        while (getter.Open.Count > 0) Close(getter, getter.Open.First);
        foreach (var index in getter.HandedOut.Keys.ToList()) TryTakeBack(getter, index);
        _getters.Remove(getter);
        _changed.Remove(getter);
    }

    /// <summary>The first part that a peer can give now, and of those that can the one that gives least.</summary>
    (int Index, PartHolder Peer)? FirstOfPeers(PartGetter getter)
    {
        (int Index, PartHolder Peer)? best = null;
        if (getter.From.Count < _idle.Count)
            foreach (var (holder, parts) in getter.From) Offer(holder, parts);
        else
            foreach (var holder in _idle)
                if (getter.From.TryGetValue(holder, out var parts)) Offer(holder, parts);
        foreach (var holder in _holdersOfAll) Offer(holder, getter.Open);
        return best;

        void Offer(PartHolder holder, IndexSet parts)
        {
            if (parts.Count == 0 || holder.Given >= limits.Given || !holder.CanGive(getter)) return;
            var index = parts.First;
            if (best is { } other && (other.Index < index || (other.Index == index && other.Peer.Given <= holder.Given))) return;
            best = (index, holder);
        }
    }

    void Forget(Predicate<PartHolder> gone)
    {
        _holdersOfAll.RemoveWhere(gone);
        foreach (var getter in _getters)
            foreach (var holder in getter.From.Keys.Where(holder => gone(holder)).ToList()) getter.From.Remove(holder);
        foreach (var tensor in _tensors.Values)
            if (tensor.Held.RemoveAll(held => gone(held.Holder)) > 0)
                foreach (var open in tensor.Open) Judge(open);
        _changed.UnionWith(_getters);
    }

    PartHolder HolderOf(WorkerId worker)
    {
        if (_holders.TryGetValue(worker, out var known)) return known;
        var holder = new PartHolder(worker) { IsWell = _well?.Contains(worker) is not false };
        _holders.Add(worker, holder);
        _idle.Add(holder);
        return holder;
    }

    bool MayClaim(PartGetter getter, int index) =>
        getter.ClaimedBytes == 0 || getter.ClaimedBytes + getter.Wanted[index].Bytes <= limits.Claimed;

    void Hold(PartHolder holder, TensorPart part)
    {
        var tensor = Of(part);
        tensor.Held.Add((holder, part));
        foreach (var open in tensor.Open)
        {
            if (open.Getter.Self == holder || !part.Contains(open.Part)) continue;
            open.Getter.FromOf(holder).Add(open.Index);
            if (holder.CanGive(open.Getter)) open.Holders++;
            Sort(open);
        }
    }

    /// <summary>A worker does not have what it was thought to have.</summary>
    void Lacks(PartHolder holder, TensorPart part)
    {
        if (_holdersOfAll.Remove(holder))
        {
            _changed.UnionWith(_getters);
            return;
        }
        var tensor = Of(part);
        tensor.Held.RemoveAll(held => held.Holder == holder && held.Part.Contains(part));
        foreach (var open in tensor.Open)
        {
            if (open.Getter.From.TryGetValue(holder, out var from)) from.Remove(open.Index);
            Judge(open);
        }
    }

    void Open(PartGetter getter, int index)
    {
        var tensor = Of(getter.Wanted[index]);
        var open = new OpenPart(getter, index, tensor);
        tensor.Open.Add(open);
        getter.Parts[index] = open;
        getter.Open.Add(index);
        Judge(open);
    }

    void Close(PartGetter getter, int index)
    {
        var open = getter.Parts[index]!;
        open.Tensor.Open.Remove(open);
        getter.Parts[index] = null;
        getter.Open.Remove(index);
        getter.Free.Remove(index);
        foreach (var (holder, _) in open.Tensor.Held)
            if (getter.From.TryGetValue(holder, out var from)) from.Remove(index);
    }

    /// <summary>Finds out anew who has and who has claimed an open part.</summary>
    void Judge(OpenPart open)
    {
        var (getter, part) = (open.Getter, open.Part);
        (open.Holders, open.Claims) = (0, 0);
        foreach (var (holder, held) in open.Tensor.Held)
        {
            if (holder == getter.Self || !held.Contains(part)) continue;
            getter.FromOf(holder).Add(open.Index);
            if (holder.CanGive(getter)) open.Holders++;
        }
        foreach (var claim in open.Tensor.Claims)
            if (IsInTheWay(claim, open)) open.Claims++;
        Sort(open);
    }

    static bool IsInTheWay((PartGetter Getter, TensorPart Part) claim, OpenPart open) =>
        claim.Getter != open.Getter && claim.Getter.Self.IsWell && claim.Part.Contains(open.Part);

    void Sort(OpenPart open)
    {
        if (open.Holders == 0 && open.Claims == 0) open.Getter.Free.Add(open.Index);
        else open.Getter.Free.Remove(open.Index);
        if (open.Holders > 0 ? open.Getter.Got < limits.Got : open.Claims == 0) _changed.Add(open.Getter);
    }

    void Note(PartGetter getter, int index, PartHolder? peer)
    {
        var part = getter.Wanted[index];
        getter.HandedOut.Add(index, peer);
        if (peer is not null)
        {
            getter.Got++;
            if (++peer.Given == limits.Given) _idle.Remove(peer);
            return;
        }
        getter.ClaimedBytes += part.Bytes;
        Claim(getter, part, isOver: false);
    }

    bool TryTakeBack(PartGetter getter, int index)
    {
        if (!getter.HandedOut.Remove(index, out var peer)) return false;
        _changed.Add(getter);
        var part = getter.Wanted[index];
        if (peer is not null)
        {
            getter.Got--;
            if (peer.Given-- == limits.Given && _holders.GetValueOrDefault(peer.Worker) == peer) _idle.Add(peer);
            foreach (var other in _getters)
                if (CouldGet(other, peer)) _changed.Add(other);
            return true;
        }
        getter.ClaimedBytes -= part.Bytes;
        Claim(getter, part, isOver: true);
        return true;
    }

    bool CouldGet(PartGetter getter, PartHolder giver) =>
        getter.Got < limits.Got && (getter.From.TryGetValue(giver, out var from) ? from.Count > 0 : getter.Open.Count > 0 && _holdersOfAll.Contains(giver));

    void Claim(PartGetter getter, TensorPart part, bool isOver)
    {
        var (tensor, claim) = (Of(part), (getter, part));
        if (isOver) tensor.Claims.Remove(claim);
        else tensor.Claims.Add(claim);
        foreach (var open in tensor.Open)
        {
            if (!IsInTheWay(claim, open)) continue;
            open.Claims += isOver ? -1 : 1;
            Sort(open);
        }
    }

    SharedTensor Of(TensorPart part)
    {
        if (!_tensors.TryGetValue(part.Tensor.Name, out var tensor)) _tensors.Add(part.Tensor.Name, tensor = new SharedTensor());
        return tensor;
    }
}
