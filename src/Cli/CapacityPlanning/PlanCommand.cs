using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Protos;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>`plan`: predicts how a model is best split over a cluster that a file describes, and how fast that is. Starts nothing.</summary>
static class PlanCommand
{
    const int MaxStreams = 4096;
    const int UsualContext = 8192;

    public static Command Create()
    {
        var model = new Option<string?>("--model")
        {
            HelpName = "PATH",
            Description = "a .gguf file (first part if split), a Hugging Face folder, or hf://ORG/REPO[:QUANT] of a hub (see `pull`)",
        };
        var shape = ShapeOption.Create("a shape in place of a model");
        var quant = new Option<string?>("--quant")
        {
            HelpName = "TYPE",
            Description = $"with --shape: the type of the matrices, {string.Join(", ", TensorMix.Names)}; without it q4_k_m",
        };
        var cluster = new Option<string>("--cluster")
        {
            HelpName = "FILE.yaml",
            Description = "the workers, hosts and links; docs/scaling.md has the format",
            Required = true,
        };
        var (objective, kvType) = (ObjectiveOption.Create(PlanObjective.Latency), KvTypeOption.Create());
        var context = new Option<int?>("--context") { HelpName = "N", Description = "positions of each stream; without it 8192 or the model's own limit" };
        var concurrency = new Option<int>("--concurrency") { HelpName = "C", Description = "streams at a time", DefaultValueFactory = _ => 1 };
        var ranks = new Option<int?>("--tensor-parallel")
        {
            HelpName = "T",
            Description = "workers that share each stage; without it as the planner finds best",
        };
        var experts = TensorOptions.Experts();
        var room = new Option<int>("--lora-room")
        {
            HelpName = "R",
            Description = "keep memory for adapters of so many ranks, added up (F16, on all matrices), as --lora-dir does",
        };
        var sweep = new Option<string?>("--sweep")
        {
            HelpName = "AXIS=FIRST..LAST",
            Description = $"plan for many clusters and print CSV: {SweepAxis.Form}",
        };
        var svg = new Option<string?>("--svg") { HelpName = "FILE", Description = "with --sweep: draw a picture too" };
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var emit = new Option<string?>("--emit-k8s") { HelpName = "DIR", Description = "write the plan as manifests for `kubectl apply -k DIR` too" };
        var command = new Command("plan", "Predict how a model is best split over a cluster, and how fast it would be. Starts nothing.")
        {
            model, HubOption.Create(), shape, quant, kvType, cluster, objective, context, concurrency, ranks, experts, room, sweep, svg, json, emit,
        };
        command.SetAction(parsed =>
        {
            var path = parsed.GetValue(model) is { } named ? HubOption.PathOf(parsed, named) : null;
            var planned = ModelOf(path, parsed.GetValue(shape), parsed.GetValue(quant), KvTypeOption.ToWire(kvType.In(parsed)))
                .WithRoom(NumberOption.Check("--lora-room", parsed.GetValue(room), 0, AdapterOptions.MostRoom));
            var longest = planned.Footprint.ContextLength;
            var question = new PlanQuestion(
                planned,
                objective.In(parsed),
                NumberOption.Check("--context", parsed.GetValue(context) ?? Math.Min(UsualContext, longest), 2, longest),
                NumberOption.Check("--concurrency", parsed.GetValue(concurrency), 1, MaxStreams),
                parsed.GetValue(ranks) is { } given ? NumberOption.Check("--tensor-parallel", given, 1, MaxStreams) : null,
                experts.In(parsed));
            var (described, output) = (ClusterFile.Read(parsed.GetRequiredValue(cluster)), parsed.InvocationConfiguration.Output);
            if (parsed.GetValue(sweep) is not null && parsed.GetValue(emit) is not null)
                throw new InvalidOptionsException("--emit-k8s writes one plan: leave out --sweep");
            if (parsed.GetValue(sweep) is { } axis) Sweep(question, described, AxisOf(axis), parsed.GetValue(svg), parsed.GetValue(json), output);
            else if (parsed.GetValue(svg) is not null) throw new InvalidOptionsException("--svg needs --sweep");
            else Print(question, described, parsed.GetValue(json), parsed.GetValue(emit), output, parsed.InvocationConfiguration.Error);
            return ExitCode.Done;
        });
        return command;
    }

    static void Print(PlanQuestion question, ClusterDescription cluster, bool json, string? manifests, TextWriter output, TextWriter error)
    {
        var problem = question.On(cluster);
        var plan = PipelinePlanner.Plan(problem) switch
        {
            PipelineOutcome.Planned planned => planned.Pipeline,
            PipelineOutcome.Refused refused => throw new CommandFailedException(refused.Reason),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
        if (json) output.WriteLine(PlanJson.Of(question, cluster, problem, plan));
        else new PlanReport(question, cluster, problem, plan).Print(output);
        if (manifests is null) return;
        foreach (var line in new KubernetesOverlay(question, cluster, problem, plan).Write(manifests)) error.WriteLine(line);
    }

    static void Sweep(PlanQuestion question, ClusterDescription cluster, SweepAxis axis, string? svg, bool json, TextWriter output)
    {
        var points = PlanSweep.Run(question, cluster, axis);
        if (svg is not null)
        {
            var throughput = question.Objective == PlanObjective.Throughput;
            var subtitle = $"{cluster.Name}; {question.Streams} {(question.Streams == 1 ? "stream" : "streams")} of {question.Positions} positions";
            File.WriteAllText(svg, new SweepChart(question.Model.Footprint.Name, subtitle, axis, points, throughput).Svg());
        }
        if (json) output.WriteLine(SweepReport.Json(question, cluster, axis, points));
        else foreach (var line in SweepReport.Csv(axis, points)) output.WriteLine(line);
    }

    static SweepAxis AxisOf(string text) => SweepAxis.Parse(text) ?? throw new InvalidOptionsException($"--sweep is {text}; it must be {SweepAxis.Form}");

    static PlannedModel ModelOf(string? path, string? shape, string? quant, KvType kvType) => (path, shape, quant) switch
    {
        (not null, null, null) => PlannedModel.OfFile(path, kvType),
        (null, not null, _) => PlannedModel.OfShape(shape, quant, kvType),
        (not null, null, not null) => throw new InvalidOptionsException("--quant goes with --shape; a model has its own types"),
        (null, null, _) => throw new InvalidOptionsException("give --model or --shape"),
        _ => throw new InvalidOptionsException("--model and --shape are both given: give one"),
    };
}
