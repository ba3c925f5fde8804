using LlamaCluster.Cli.Commands;
using LlamaCluster.Planning.Profiles;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>
/// Reads the description of a cluster, which need not exist. docs/scaling.md has the format. Every key is honoured or refused.
/// </summary>
static class ClusterFile
{
    const long MaxBytes = 1 << 20;
    const int MaxDepth = 16;
    const int MaxHosts = 1024;
    const int MaxPerHost = 64;
    const int MaxThreads = 4096;

    /// <summary>The link between processes of one machine, if the file names none.</summary>
    static readonly Link UsualInner = new(10e-6, 5e9);

    /// <exception cref="CommandFailedException">The file is missing or not a valid description. The message names file and line.</exception>
    public static ClusterDescription Read(string path)
    {
        if (!File.Exists(path)) throw new CommandFailedException($"{path}: no such file");
        if (new FileInfo(path).Length > MaxBytes)
            throw new CommandFailedException($"{path}: larger than {MaxBytes} bytes; a cluster is described in a few lines");
        var stream = new YamlStream();
        try
        {
            var text = File.ReadAllText(path);
            CheckDepth(path, text);
            stream.Load(new StringReader(text));
        }
        catch (YamlException wrong)
        {
            throw YamlMap.At(path, wrong.Start, $"not YAML: {wrong.Message.ReplaceLineEndings(" ")}");
        }
        catch (InvalidOperationException)   // the parser throws this for some files that end too early
        {
            throw new CommandFailedException($"{path}: not YAML: it ends within a list or a mapping");
        }
        return stream.Documents.Count == 1
            ? Read(new YamlMap(path, stream.Documents[0].RootNode, "the cluster"), Path.GetFileNameWithoutExtension(path))
            : throw new CommandFailedException($"{path}: has {stream.Documents.Count} documents, not one");
    }

    /// <summary>
    /// Reads the events of the text one after the other. What builds nodes of them needs more of the stack for each level, and the stack ends.
    /// </summary>
    static void CheckDepth(string path, string text)
    {
        var parser = new Parser(new StringReader(text));
        for (var depth = 0; parser.MoveNext();)
        {
            if (parser.Current is MappingStart or SequenceStart && ++depth > MaxDepth)
                throw YamlMap.At(path, parser.Current.Start, $"lists and mappings are nested more than {MaxDepth} deep; a cluster needs 4");
            if (parser.Current is MappingEnd or SequenceEnd) depth--;
        }
    }

    static ClusterDescription Read(YamlMap map, string fileName)
    {
        var name = map.Text("name") ?? fileName;
        var network = LinkOf(map.Map("network"));
        var coordinator = LinkOf(map.Map("coordinator"));
        var described = map.List("workers", "a kind of workers");
        var kinds = described.Select(kind => KindOf(kind, network)).ToList();
        map.End();
        if (kinds.Sum(kind => kind.Hosts) > 1 && kinds.FindIndex(kind => kind.Outer is null) is >= 0 and var alone)
            throw described[alone].Missing("network, its own or the cluster's");
        if (kinds.GroupBy(kind => kind.Name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw map.Wrong($"two kinds of workers are called {twice.Key}");
        if (kinds.Sum(kind => kind.Hosts * kind.PerHost) > MaxHosts) throw map.Wrong($"more than {MaxHosts} workers");
        return new ClusterDescription(name, kinds, coordinator);
    }

    static WorkerKind KindOf(YamlMap map, Link? network)
    {
        var name = map.Text("name") ?? throw map.Missing("name");
        var (hosts, perHost) = (map.Count("count", MaxHosts) ?? 1, map.Count("per_host", MaxPerHost) ?? 1);
        var memory = (long)map.Required("memory", key => map.Number(key, Quantity.Memory));
        var device = DeviceOf(map);
        var read = map.Number("bandwidth", Quantity.Bandwidth) ?? device?.ReadBytesPerSecond ?? throw map.Missing("bandwidth, or device");
        var multiply = MultiplyAddsOf(map) ?? device?.MultiplyAddsPerSecond ?? throw map.Missing("compute or multiply_adds, or device");
        var threads = map.Count("threads", MaxThreads) ?? device?.Cores ?? 1;
        var inner = LinkOf(map.Map("link")) ?? UsualInner;
        var outer = LinkOf(map.Map("network")) ?? network;
        map.End();
        return new WorkerKind(name, hosts, perHost, memory, threads, read, multiply, inner, outer);
    }

    static Device? DeviceOf(YamlMap map)
    {
        if (map.Text("device") is not { } name) return null;
        return Devices.Find(name) ?? throw map.Wrong($"device '{name}' is unknown; known are {string.Join(", ", Devices.All.Select(device => device.Name))}");
    }

    static double? MultiplyAddsOf(YamlMap map)
    {
        var (compute, multiplyAdds) = (map.Number("compute", Quantity.Compute), map.Number("multiply_adds", Quantity.MultiplyAdds));
        return compute is null || multiplyAdds is null ? compute ?? multiplyAdds : throw map.Wrong("compute and multiply_adds are both given: give one");
    }

    static Link? LinkOf(YamlMap? map)
    {
        if (map is null) return null;
        var roundTrip = map.Required("round_trip", key => map.Number(key, Quantity.Time));
        var link = new Link(roundTrip, map.Required("bandwidth", key => map.Number(key, Quantity.Bandwidth)));
        map.End();
        return link;
    }
}
