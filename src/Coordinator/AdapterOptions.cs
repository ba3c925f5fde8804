using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Adapters;
using static LlamaCluster.Coordinator.OptionRange;

namespace LlamaCluster.Coordinator;

/// <summary>Low-rank adapters (LoRA) that are served beside the model.</summary>
public sealed record AdapterOptions
{
    /// <summary>The most adapters that can be served at a time.</summary>
    public const int MostAdapters = 64;

    const int LongestName = 200;

    /// <summary>The most that <see cref="RoomRanks"/> may be.</summary>
    public const int MostRoom = AdapterWeights.MostRank * MostAdapters;

    /// <summary>Names that clients ask for, and where the adapters are: GGUF files, or folders of the PEFT library. Default: none.</summary>
    public IReadOnlyList<(string Name, string Path)> Adapters { get; init; } = [];

    /// <summary>Folders that adapters may be loaded from while the coordinator runs. Default: none, and none can be loaded or unloaded then.</summary>
    public IReadOnlyList<string> Folders { get; init; } = [];

    /// <summary>Adapters may be loaded and unloaded while the coordinator runs.</summary>
    public bool MayChange => Folders.Count > 0;

    /// <summary>The most adapters, those among them that are unloaded and still used; 1 to 64, default 16.</summary>
    public int MaxAdapters { get; init; } = 16;

    /// <summary>The greatest rank that an adapter may have; 1 to 1024, default 256.</summary>
    public int MaxRank { get; init; } = 256;

    /// <summary>
    /// The ranks of adapters loaded while the coordinator runs, added up, that workers keep room for: in F16, on all matrices. 0 to 65536, default 64: four
    /// of rank 16. Without <see cref="Folders"/> none is kept.
    /// </summary>
    public int RoomRanks { get; init; } = 64;

    /// <summary>
    /// Rows of whole embeddings, and as many of heads, that adapters loaded while the coordinator runs may bring, added up: in F16. 0, the default: no room is
    /// kept, and none may have a larger vocabulary than the model and the adapters of the start.
    /// </summary>
    public int RoomVocabulary { get; init; }

    /// <summary>What is wrong first, in one line; null if nothing is.</summary>
    public string? FirstProblem() =>
        Problem("--max-loras", MaxAdapters, 1, MostAdapters)
        ?? Problem("--max-lora-rank", MaxRank, 1, AdapterWeights.MostRank)
        ?? Problem("--lora-room", RoomRanks, 0, MostRoom)
        ?? Problem("--lora-room-vocabulary", RoomVocabulary, 0, LlamaConfigRules.MaxVocabulary)
        ?? (Adapters.Count > MaxAdapters ? $"--lora names {Adapters.Count} adapters; --max-loras is {MaxAdapters}" : null)
        ?? Folders.Where(folder => !Directory.Exists(folder)).Select(folder => $"--lora-dir {folder}: there is no such folder").FirstOrDefault()
        ?? Adapters.Select(adapter => NameProblem("--lora", adapter.Name)).FirstOrDefault(problem => problem is not null);

    /// <param name="field">Where the name stands.</param>
    internal static string? NameProblem(string field, string name) =>
        name.Length is 0 or > LongestName || name.Any(letter => char.IsControl(letter) || char.IsWhiteSpace(letter))
            ? $"{field}: a name has 1 to {LongestName} letters, digits and signs, without spaces; '{Primitives.ErrorText.Show(name)}' has not"
            : null;
}
