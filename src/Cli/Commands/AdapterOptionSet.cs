using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>Low-rank adapters beside the model; options of `up` and `coordinator`.</summary>
sealed class AdapterOptionSet
{
    static readonly AdapterOptions Defaults = new();

    readonly Option<string[]> _adapters = new("--lora")
    {
        HelpName = "NAME=PATH",
        Description = "an adapter (LoRA) that requests name as their model: a GGUF file, or a folder of the PEFT library; may stand several times",
    };

    readonly Option<string[]> _folders = new("--lora-dir")
    {
        HelpName = "DIR",
        Description = "adapters in this folder may be loaded, and any unloaded, while the cluster runs (/v1/load_lora_adapter); may stand several times",
    };

    readonly Option<int> _most = new("--max-loras")
    {
        HelpName = "N",
        Description = "adapters at a time, at the most",
        DefaultValueFactory = _ => Defaults.MaxAdapters,
    };

    readonly Option<int> _rank = new("--max-lora-rank")
    {
        HelpName = "R",
        Description = "the greatest rank that an adapter may have",
        DefaultValueFactory = _ => Defaults.MaxRank,
    };

    readonly Option<int> _room = new("--lora-room")
    {
        HelpName = "R",
        Description = "with --lora-dir: the ranks of adapters loaded later, added up, that workers keep memory for (F16, on all matrices)",
        DefaultValueFactory = _ => Defaults.RoomRanks,
    };

    readonly Option<int> _vocabulary = new("--lora-room-vocabulary")
    {
        HelpName = "V",
        Description = "with --lora-dir: rows of whole embeddings and of heads, added up, that adapters loaded later may bring; their largest vocabulary",
        DefaultValueFactory = _ => Defaults.RoomVocabulary,
    };

    public IEnumerable<Option> All => [_adapters, _folders, _most, _rank, _room, _vocabulary];

    /// <exception cref="InvalidOptionsException">An adapter has no name, or no path.</exception>
    public AdapterOptions Read(ParseResult parsed) => Defaults with
    {
        Adapters = [.. (parsed.GetValue(_adapters) ?? []).Select(Split)],
        Folders = [.. parsed.GetValue(_folders) ?? []],
        MaxAdapters = parsed.GetValue(_most),
        MaxRank = parsed.GetValue(_rank),
        RoomRanks = parsed.GetValue(_room),
        RoomVocabulary = parsed.GetValue(_vocabulary),
    };

    static (string Name, string Path) Split(string adapter) => adapter.Split('=', 2) is [{ Length: > 0 } name, { Length: > 0 } path]
        ? (name, path)
        : throw new InvalidOptionsException($"--lora is {adapter}; it must be NAME=PATH");
}
