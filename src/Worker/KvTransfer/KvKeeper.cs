using LlamaCluster.Cluster;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Orders;

namespace LlamaCluster.Worker.KvTransfer;

/// <summary>
/// The KV of views that are over. The next order's shard goes on with its own layers. The others are offered to the workers that have them from then on,
/// until the next view runs, if the order says that they come for them. For the shard keeper, in turn; only <see cref="BecomeForeign"/>,
/// <see cref="OfferedAsync"/> and <see cref="EndOffer"/> are for anyone.
/// </summary>
sealed class KvKeeper
{
    readonly Latest<Offering> _offered = new(Offering.None);
    KeptKv? _kept;
    ShardIdentity? _numbers;   // what its numbers depend on
    volatile bool _isForeign;  // its view is of another cluster, whose views have the same numbers

    /// <summary>For the shard that is being loaded; null: none.</summary>
    public KeptKv? Kept => _kept;

    /// <summary>What is here belongs to views of another cluster.</summary>
    public void BecomeForeign()
    {
        _isForeign = true;
        EndOffer();
        _offered.Update(_ => Offering.None);
    }

    /// <summary>A view is over, and has left this.</summary>
    public void Add(KeptKv kept, LoadOrder of)
    {
        Forget();
        (_kept, _numbers) = (kept, ShardIdentity.OfNumbers(of));
    }

    /// <summary>Gives up what is of no use for an order, or for others that wait for it: other layers, or other numbers than would be computed.</summary>
    public void KeepFor(LoadOrder order)
    {
        TakeBack();
        var left = Take();
        KvOffer? offer = null;
        if (left is not null && _isForeign) left.Dispose();
        else if (left is not null)
        {
            if (_numbers == ShardIdentity.OfNumbers(order) && left.Blocks.TakeOut(order.Shape.FirstLayer, order.Shape.EndLayer) is { } blocks)
                _kept = left with { Blocks = blocks };
            if (order.KvIsFetched && !left.Blocks.IsEmpty) offer = new KvOffer(left, _numbers!);
            else left.Dispose();
        }
        _isForeign = false;
        _offered.Update(_ => new Offering(order.Plan.ViewVersion, offer));
    }

    /// <summary>Offers all to the workers of a view that this one has no part in.</summary>
    /// <returns>Null if there is nothing.</returns>
    public KvOffer? OfferAll(ulong view)
    {
        if (_offered.Value.View == view) return _offered.Value.Offer;
        TakeBack();
        var offer = !_isForeign && Take() is { } kept ? new KvOffer(kept, _numbers!) : null;
        _offered.Update(_ => new Offering(view, offer));
        return offer;
    }

    /// <summary>Waits until this worker knows its part of a view.</summary>
    /// <returns>What it offers to the others of it; null: nothing, or its view is a newer one.</returns>
    public async Task<KvOffer?> OfferedAsync(ulong view, CancellationToken cancellation)
    {
        var offered = await _offered.WaitAsync(now => now.View >= view, cancellation);
        return offered.View == view ? offered.Offer : null;
    }

    /// <summary>What is offered has to make room.</summary>
    /// <param name="bytes">As much may stay.</param>
    public void LimitOffer(long bytes)
    {
        if (_offered.Value.Offer is { } offer && offer.Bytes > bytes) EndOffer();
    }

    /// <summary>Nobody comes for it any more.</summary>
    public void EndOffer()
    {
        if (_offered.Value.Offer is null) return;
        _offered.Update(now =>
        {
            now.Offer?.TakeBack()?.Dispose();
            return now with { Offer = null };
        });
    }

    /// <summary>Hands over what is kept for the shard.</summary>
    public KeptKv? Take()
    {
        var kept = _kept;
        _kept = null;
        return kept;
    }

    /// <summary>Takes what is kept for the shard from now on.</summary>
    public void Put(KeptKv? kept) => _kept = kept;

    /// <summary>Gives up what is kept for the shard.</summary>
    public void Forget() => Take()?.Dispose();

    /// <summary>Gives up everything.</summary>
    public void ForgetAll()
    {
        Forget();
        EndOffer();
    }

    /// <summary>The view that others came for has not run: what was offered to them belongs to the rest again.</summary>
    void TakeBack()
    {
        if (_offered.Value.Offer is not { } offer || offer.TakeBack() is not { } back) return;
        if (_kept is null) (_kept, _numbers) = (back, offer.Numbers);
        else if (_numbers == offer.Numbers) _kept = KeptKv.Join(_kept, back);
        else back.Dispose();
    }

    /// <param name="View">The newest that this worker knows its part of, or its having none.</param>
    sealed record Offering(ulong View, KvOffer? Offer)
    {
        public static Offering None { get; } = new(0, null);
    }
}
