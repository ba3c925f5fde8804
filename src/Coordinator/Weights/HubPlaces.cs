using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>Tells workers where on a hub the served model's tensors stand.</summary>
static class HubPlaces
{
    /// <summary>A tensor that does not stand there as it is gets no place.</summary>
    /// <param name="description">Of all of the tensors, in their order.</param>
    public static void AddTo(ModelDescription description, IModelWeights weights, HubOrigin hub)
    {
        var files = new HubFiles { Endpoint = $"{hub.Endpoint}", Repository = hub.Repository, Commit = hub.Commit };
        var numbers = new Dictionary<string, uint>(StringComparer.Ordinal);
        foreach (var (tensor, described) in weights.Tensors.Zip(description.Tensors))
        {
            if (weights.PlaceOf(tensor) is not { } place || hub.NameOf(place.File) is not { } name) continue;
            if (numbers.TryAdd(name, (uint)numbers.Count + 1)) files.Files.Add(name);
            (described.HubFile, described.HubOffset) = (numbers[name], (ulong)place.Offset);
        }
        description.Hub = files;
    }
}
