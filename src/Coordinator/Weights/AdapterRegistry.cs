using System.Collections.Immutable;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Config;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>The adapters that there are at a time.</summary>
/// <param name="Version">Grows whenever <see cref="Held"/> changes.</param>
/// <param name="Named">Those that requests may name, in the order in which they came.</param>
/// <param name="Held">Those that workers hold: these, those that are being loaded, and those that are unloaded and still used.</param>
public sealed record AdapterSet(ulong Version, ImmutableArray<ServedAdapter> Named, ImmutableArray<ServedAdapter> Held)
{
    /// <summary>For workers, which know an adapter by its content, whatever its names.</summary>
    public IEnumerable<Adapter> ToMessages() => Held.DistinctBy(adapter => adapter.Digest).Select(adapter => adapter.ToMessage());

    public bool Equals(AdapterSet? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => Version.GetHashCode();
}

/// <summary>
/// The adapters that are served. One is held for as long as anybody uses it: its name, a sequence, who loads it, a view whose workers fetch it. Then its
/// files are closed. Safe for concurrent use: who looks sees one set or the next.
/// </summary>
public sealed class AdapterRegistry : IDisposable
{
    readonly Lock _lock = new();
    readonly Dictionary<ServedAdapter, AdapterUsers> _users = new(ReferenceEqualityComparer.Instance);
    readonly Latest<AdapterSet> _set = new(new AdapterSet(0, [], []));

    readonly AdapterRoom _room;

    /// <param name="maxRank">The greatest rank that any may have; 0: there are none, and none can be.</param>
    /// <param name="maxAdapters">How many may be held at a time.</param>
    /// <param name="room">What workers keep room for beside these.</param>
    public AdapterRegistry(ImmutableArray<ServedAdapter> adapters, int maxRank, int maxAdapters, AdapterRoom? room = null)
    {
        (MaxRank, MaxAdapters) = (maxRank, maxAdapters);
        _room = (room ?? AdapterRoom.None).Behind(adapters.DistinctBy(adapter => adapter.Digest).Select(adapter => adapter.Weights.Content));
        MaxVocabulary = Math.Max(_room.VocabularyRows, adapters.Select(adapter => adapter.Weights.Content.VocabularySize).DefaultIfEmpty().Max());
        foreach (var adapter in adapters) _users.Add(adapter, new AdapterUsers { Names = 1 });
        _set.Update(_ => new AdapterSet(0, adapters, adapters));
    }

    public static AdapterRegistry Empty { get; } = new([], 0, 0);

    /// <summary>Those that requests may name, in the order in which they came.</summary>
    public ImmutableArray<ServedAdapter> All => Now.Named;

    public AdapterSet Now => _set.Value;

    /// <summary>Workers make room for products of this rank.</summary>
    public int MaxRank { get; }

    public int MaxAdapters { get; }

    /// <summary>Workers make room for logits of so many ids; 0: of the model's.</summary>
    public int MaxVocabulary { get; }

    /// <summary>Opens the adapters that an operator names.</summary>
    /// <param name="modelName">No adapter may have it.</param>
    /// <exception cref="InvalidOptionsException">Two have the same name, there are too many, or one has too great a rank.</exception>
    /// <exception cref="ModelFormatException">A file cannot be applied to the model.</exception>
    public static AdapterRegistry Open(AdapterOptions options, LlamaConfig config, string modelName)
    {
        List<ServedAdapter> opened = [];
        try
        {
            foreach (var (name, path) in options.Adapters)
            {
                if (name == modelName || opened.Exists(other => other.Name == name))
                    throw new InvalidOptionsException($"--lora {name}: there is a model of this name already");
                opened.Add(ServedAdapter.Open(name, path, config, options.MaxRank));
            }
            // One that brings whole matrices only has none, and room for adapters all the same.
            var rank = options.MayChange ? options.MaxRank : opened.Select(adapter => Math.Max(1, adapter.Weights.MaxRank)).DefaultIfEmpty().Max();
            var room = options.MayChange ? new AdapterRoom(config, options.RoomRanks, options.RoomVocabulary) : null;
            return new AdapterRegistry([.. opened], rank, options.MaxAdapters, room);
        }
        catch
        {
            opened.ForEach(adapter => adapter.Dispose());
            throw;
        }
    }

    public ServedAdapter? Find(string name) => All.FirstOrDefault(adapter => adapter.Name == name);

    /// <summary>Among all that are held.</summary>
    public ServedAdapter? FindDigest(string digest) => Now.Held.FirstOrDefault(adapter => adapter.Digest == digest);

    /// <summary>A sequence uses an adapter, until it disposes of the result.</summary>
    /// <returns>Null: it is not held any more.</returns>
    public AdapterUse? TryUse(string digest)
    {
        lock (_lock)
        {
            if (FindDigest(digest) is not { } adapter) return null;
            _users[adapter].Waiting++;
            return new AdapterUse(this, adapter);
        }
    }

    /// <summary>Keeps all that are held now, until the result is disposed of.</summary>
    public AdapterHold Hold()
    {
        lock (_lock)
        {
            foreach (var adapter in Now.Held) _users[adapter].Holders++;
            return new AdapterHold(this, Now);
        }
    }

    /// <summary>
    /// Workers may fetch the adapter from now on; nobody may name it yet. It is held, and belongs to the registry, until the result is disposed of.
    /// </summary>
    /// <returns>Null: there are as many as there may be. The adapter is still the caller's.</returns>
    public AdapterHold? TryAdd(ServedAdapter opened)
    {
        lock (_lock)
        {
            if (Now.Held.Length >= MaxAdapters) return null;
            _users.Add(opened, new AdapterUsers { Holders = 1 });
            var set = _set.Update(now => now with { Version = now.Version + 1, Held = now.Held.Add(opened) });
            return new AdapterHold(this, set with { Held = [opened] });
        }
    }

    /// <summary>Requests may name an adapter that is held; one that has its name has it no longer.</summary>
    public void Name(ServedAdapter adapter)
    {
        lock (_lock)
        {
            var before = Find(adapter.Name);
            _users[adapter].Names++;
            _set.Update(now => now with { Named = (before is null ? now.Named : now.Named.Remove(before)).Add(adapter) });
            if (before is not null) Release(before, users => users.Names--);
        }
    }

    /// <summary>No request may name the adapter any more. Sequences that use it go on.</summary>
    /// <returns>False: there is none of this name.</returns>
    public bool TryUnname(string name)
    {
        lock (_lock)
        {
            if (Find(name) is not { } adapter) return false;
            _set.Update(now => now with { Named = now.Named.Remove(adapter) });
            Release(adapter, users => users.Names--);
            return true;
        }
    }

    public Task<AdapterSet> WaitAsync(Func<AdapterSet, bool> condition, CancellationToken cancellation) => _set.WaitAsync(condition, cancellation);

    /// <summary>The names of adapters whose sequences have begun, and of those with sequences that have not.</summary>
    public (IReadOnlyList<string> Running, IReadOnlyList<string> Waiting) InUse()
    {
        lock (_lock)
            return ([.. Now.Held.Where(adapter => _users[adapter].Running > 0).Select(adapter => adapter.Name).Distinct()],
                [.. Now.Held.Where(adapter => _users[adapter].Waiting > 0).Select(adapter => adapter.Name).Distinct()]);
    }

    /// <summary>A model with what adapters take, and the room for those that may come, on the workers that have its layers.</summary>
    public ModelFootprint AddTo(ModelFootprint model)
        => _room.AddTo(model, Now.Held.DistinctBy(adapter => adapter.Digest).Select(adapter => adapter.Weights.Content));

    public void Dispose()
    {
        foreach (var adapter in Now.Held) adapter.Dispose();
    }

    /// <summary>Somebody uses the adapter no more. The last one closes it.</summary>
    internal void Release(ServedAdapter adapter, Action<AdapterUsers> change)
    {
        lock (_lock)
        {
            var users = _users[adapter];
            change(users);
            if (users.Any) return;
            _users.Remove(adapter);
            _set.Update(now => now with { Version = now.Version + 1, Held = now.Held.RemoveAll(held => ReferenceEquals(held, adapter)) });
        }
        adapter.Dispose();
    }

    internal void Begin(ServedAdapter adapter)
    {
        lock (_lock)
        {
            _users[adapter].Waiting--;
            _users[adapter].Running++;
        }
    }
}

/// <summary>Who uses an adapter: so many of each.</summary>
sealed class AdapterUsers
{
    public int Names { get; set; }

    public int Holders { get; set; }

    /// <summary>Sequences that have not begun.</summary>
    public int Waiting { get; set; }

    /// <summary>Sequences that have.</summary>
    public int Running { get; set; }

    public bool Any => Names + Holders + Waiting + Running > 0;
}

/// <summary>A sequence's use of an adapter. By one thread at a time.</summary>
public sealed class AdapterUse : IDisposable
{
    readonly AdapterRegistry _registry;
    readonly ServedAdapter _adapter;
    bool _begun, _ended;

    internal AdapterUse(AdapterRegistry registry, ServedAdapter adapter) => (_registry, _adapter) = (registry, adapter);

    /// <summary>The sequence runs. Does nothing if that was known.</summary>
    public void Begin()
    {
        if (_begun || _ended) return;
        _begun = true;
        _registry.Begin(_adapter);
    }

    public void Dispose()
    {
        if (_ended) return;
        _ended = true;
        if (_begun) _registry.Release(_adapter, users => users.Running--);
        else _registry.Release(_adapter, users => users.Waiting--);
    }
}

/// <summary>Keeps adapters: for who loads them, or has workers fetch them.</summary>
public sealed class AdapterHold : IDisposable
{
    readonly AdapterRegistry _registry;

    internal AdapterHold(AdapterRegistry registry, AdapterSet set) => (_registry, Set) = (registry, set);

    /// <summary>Those that are kept.</summary>
    public AdapterSet Set { get; }

    public void Dispose()
    {
        foreach (var adapter in Set.Held) _registry.Release(adapter, users => users.Holders--);
    }
}
