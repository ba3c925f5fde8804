using System.CommandLine;
using LlamaCluster.Cli.Hub;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>--weights-from, for those whose workers may have no file of the model.</summary>
sealed class WeightsFromOption
{
    const string Name = "--weights-from";

    readonly WordOption<WeightsSource> _source = new(
        Name, "where workers that have no file of the model get their weights: from this process; of a model hf://..., from the hub themselves; "
            + "or from workers that have them already, and from this process what none has",
        ("coordinator", WeightsSource.Coordinator), ("hub", WeightsSource.Hub), ("peer", WeightsSource.Peer));

    public Option Option => _source;

    /// <summary>Whether workers are to give each other what they have.</summary>
    public bool IsPeerIn(ParseResult parsed) => _source.In(parsed) is WeightsSource.Peer;

    /// <summary>The hub that workers are to fetch from. Null: the coordinator has it all.</summary>
    /// <param name="model">--model.</param>
    /// <param name="quantize">--quantize.</param>
    /// <exception cref="InvalidOptionsException">The model is not on a hub in the form that workers need.</exception>
    public HubOrigin? HubIn(ParseResult parsed, Option<string?> model, Option<string?> quantize)
    {
        if (_source.In(parsed) is not WeightsSource.Hub) return null;
        if (parsed.GetValue(model) is not { } given || !HubReference.Is(given))
            throw new InvalidOptionsException($"{Name} hub is for models of a hub: give --model {HubReference.Form}");
        if (parsed.GetValue(quantize) is not null)
            throw new InvalidOptionsException(
                $"{Name} hub and --quantize exclude each other: a hub has no rounded weights; leave {Name} out, and workers get them from the coordinator");
        return HubOption.OriginOf(parsed, given, ModelOption.PathOf(parsed, model));
    }

    enum WeightsSource
    {
        Coordinator,
        Hub,
        Peer,
    }
}
