# Completion of rnn-lightning in bash. Made by `python -m rnn_lightning.cli.completion --write`: not to be edited.

_rnn_lightning() {
    local verb=${COMP_WORDS[1]} cur=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) words='' look='' flag item
    local of_config='-c --config'
    local of_model='--model --model.longest --model.num_ngrams --model.vocab_size --model.input_size --model.num_classes --model.members --model.temperatures --model.weights --model.cell --model.hidden_size --model.num_layers --model.bidirectional --model.residual --model.prenorm --model.layer_dropout --model.locked_dropout --model.weight_dropout --model.projection_size --model.cell_options --model.init --model.embedding_size --model.embedding_dropout --model.word_dropout --model.vectors --model.freeze_vectors --model.init_from --model.init_lr --model.gradual_unfreezing --model.dropout --model.tie_embedding --model.scheduled_sampling --model.pooling --model.batch_norm --model.label_smoothing --model.adversarial --model.virtual_adversarial --model.ngrams --model.ngram_sizes'
    local of_data='--data --data.num_train --data.num_val --data.num_test --data.num_steps --data.data_seed --data.batch_size --data.num_workers --data.permute --data.path --data.vocab_size --data.max_length --data.truncate --data.unlabelled --data.targets --data.teacher --data.teacher_weight --data.temperature --data.val_fraction --data.split_seed --data.unit --data.streams --data.test_fraction --data.min_steps --data.max_steps --data.test_steps --data.num_tokens --data.group --data.features --data.label --data.per_step --data.regression --data.val_path --data.test_path --data.input_size --data.num_classes --data.rule --data.text --data.unlabelled_path'
    local of_optimizer='--optimizer --optimizer.lr --optimizer.beta2_decay --optimizer.eps --optimizer.d --optimizer.weight_decay --optimizer.foreach --optimizer.maximize --optimizer.momentum --optimizer.nesterov --optimizer.ns_coefficients --optimizer.ns_steps --optimizer.adjust_lr_fn --optimizer.rho --optimizer.capturable --optimizer.differentiable --optimizer.lr_decay --optimizer.initial_accumulator_value --optimizer.fused --optimizer.betas --optimizer.amsgrad --optimizer.decoupled_weight_decay --optimizer.lambd --optimizer.alpha --optimizer.t0 --optimizer.max_iter --optimizer.max_eval --optimizer.tolerance_grad --optimizer.tolerance_change --optimizer.history_size --optimizer.line_search_fn --optimizer.momentum_decay --optimizer.centered --optimizer.etas --optimizer.step_sizes --optimizer.dampening'
    local of_lr_scheduler='--lr_scheduler --lr_scheduler.warmup --lr_scheduler.lr_lambda --lr_scheduler.last_epoch --lr_scheduler.step_size --lr_scheduler.gamma --lr_scheduler.milestones --lr_scheduler.factor --lr_scheduler.total_iters --lr_scheduler.start_factor --lr_scheduler.end_factor --lr_scheduler.schedulers --lr_scheduler.power --lr_scheduler.T_max --lr_scheduler.eta_min --lr_scheduler.monitor --lr_scheduler.mode --lr_scheduler.patience --lr_scheduler.threshold --lr_scheduler.threshold_mode --lr_scheduler.cooldown --lr_scheduler.min_lr --lr_scheduler.eps --lr_scheduler.base_lr --lr_scheduler.max_lr --lr_scheduler.step_size_up --lr_scheduler.step_size_down --lr_scheduler.scale_fn --lr_scheduler.scale_mode --lr_scheduler.cycle_momentum --lr_scheduler.base_momentum --lr_scheduler.max_momentum --lr_scheduler.T_0 --lr_scheduler.T_mult --lr_scheduler.total_steps --lr_scheduler.epochs --lr_scheduler.steps_per_epoch --lr_scheduler.pct_start --lr_scheduler.anneal_strategy --lr_scheduler.div_factor --lr_scheduler.final_div_factor --lr_scheduler.three_phase'
    local of_trainer='--trainer.accelerator --trainer.strategy --trainer.devices --trainer.num_nodes --trainer.precision --trainer.logger --trainer.callbacks --trainer.fast_dev_run --trainer.max_epochs --trainer.min_epochs --trainer.max_steps --trainer.min_steps --trainer.max_time --trainer.limit_train_batches --trainer.limit_val_batches --trainer.limit_test_batches --trainer.limit_predict_batches --trainer.overfit_batches --trainer.val_check_interval --trainer.check_val_every_n_epoch --trainer.num_sanity_val_steps --trainer.log_every_n_steps --trainer.enable_checkpointing --trainer.enable_progress_bar --trainer.enable_model_summary --trainer.accumulate_grad_batches --trainer.gradient_clip_val --trainer.gradient_clip_algorithm --trainer.deterministic --trainer.benchmark --trainer.inference_mode --trainer.use_distributed_sampler --trainer.profiler --trainer.detect_anomaly --trainer.barebones --trainer.plugins --trainer.sync_batchnorm --trainer.reload_dataloaders_every_n_epochs --trainer.default_root_dir --trainer.enable_autolog_hparams --trainer.model_registry'
    local of_checkpoint='--checkpoint --checkpoint.monitor --checkpoint.mode'
    local of_early_stopping='--early_stopping --early_stopping.monitor --early_stopping.mode --early_stopping.patience --early_stopping.min_delta'
    local of_seed_everything='--seed_everything'
    local of_ckpt_path='--ckpt_path'
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W 'fit validate test predict generate export baseline ensemble compare sweep find-lr find-batch-size report list schema completion new --help --version' -- "$cur"))
        return
    fi
    # Bash takes the sign of equality for a word of its own.
    if [[ $cur == = ]]; then
        cur=
    elif [[ ${COMP_WORDS[at]} == = ]]; then
        at=$((at - 1))
    fi
    flag=${COMP_WORDS[at]}
    while ((at > 2)) && [[ ${COMP_WORDS[at]} != -* ]]; do at=$((at - 1)); done
    case "$verb ${COMP_WORDS[at]}" in
        "compare --rows"|"compare --columns") flag=${COMP_WORDS[at]} ;;
    esac
    case "$verb $flag" in
        "fit --resume"|"fit --run"|"validate --run"|"test --run"|"predict --run"|"generate --run"|"export --run") words='' look=runs ;;
        "fit --plugins"|"validate --plugins"|"test --plugins"|"predict --file"|"predict --output"|"predict --plugins"|"generate --plugins"|"export --plugins"|"baseline --plugins"|"ensemble --plugins"|"compare --plugins"|"sweep --plugins"|"find-lr --output"|"find-lr --plugins"|"find-batch-size --plugins"|"schema --plugins") words='' look=files ;;
        "validate --ckpt_path"|"test --ckpt_path"|"predict --ckpt_path"|"generate --ckpt_path"|"export --ckpt_path") words='best last' look=checkpoints ;;
        "generate --config"|"compare --rows"|"compare --columns") words='adding.yaml base.yaml bilstm.yaml copy_memory.yaml digits.yaml gru.yaml gru_ln.yaml imdb.yaml lstm.yaml lstm_ln.yaml mingru.yaml minlstm.yaml next_word.yaml parity.yaml presets/16-bit.yaml presets/ddp.yaml presets/deterministic.yaml presets/ema.yaml presets/gradients.yaml presets/limit.yaml presets/mlflow.yaml presets/overfit.yaml presets/profile.yaml presets/tensorboard.yaml presets/wandb.yaml qrnn.yaml rnn.yaml rnn_ln.yaml selective_copy.yaml slstm.yaml sru.yaml stacked_lstm.yaml stacked_mingru.yaml sweep.yaml temporal_order.yaml transformer.yaml' look=configs ;;
        "export --output"|"compare --output"|"sweep --output"|"report --output") words='' look=folders ;;
        *" -c"|*" --config") words='adding.yaml base.yaml bilstm.yaml copy_memory.yaml digits.yaml gru.yaml gru_ln.yaml imdb.yaml lstm.yaml lstm_ln.yaml mingru.yaml minlstm.yaml next_word.yaml parity.yaml presets/16-bit.yaml presets/ddp.yaml presets/deterministic.yaml presets/ema.yaml presets/gradients.yaml presets/limit.yaml presets/mlflow.yaml presets/overfit.yaml presets/profile.yaml presets/tensorboard.yaml presets/wandb.yaml qrnn.yaml rnn.yaml rnn_ln.yaml selective_copy.yaml slstm.yaml sru.yaml stacked_lstm.yaml stacked_mingru.yaml sweep.yaml temporal_order.yaml transformer.yaml' look=configs ;;
        *" --model") words='BagOfNgrams Ensemble LanguageModel SequenceClassifier SequenceTagger' look=nothing ;;
        *" --model.cell") words='gru gru_ln lstm lstm_ln mingru minlstm qrnn rnn rnn_ln slstm sru transformer' look=nothing ;;
        *" --model.bidirectional"|*" --model.residual"|*" --model.prenorm"|*" --model.locked_dropout"|*" --model.freeze_vectors"|*" --model.gradual_unfreezing"|*" --model.tie_embedding"|*" --model.batch_norm"|*" --data.permute"|*" --data.unlabelled"|*" --data.streams"|*" --data.per_step"|*" --data.regression"|*" --optimizer.foreach"|*" --optimizer.maximize"|*" --optimizer.nesterov"|*" --optimizer.capturable"|*" --optimizer.differentiable"|*" --optimizer.fused"|*" --optimizer.amsgrad"|*" --optimizer.decoupled_weight_decay"|*" --optimizer.centered"|*" --lr_scheduler.cycle_momentum"|*" --lr_scheduler.three_phase"|*" --trainer.logger"|*" --trainer.fast_dev_run"|*" --trainer.enable_checkpointing"|*" --trainer.enable_progress_bar"|*" --trainer.enable_model_summary"|*" --trainer.benchmark"|*" --trainer.inference_mode"|*" --trainer.use_distributed_sampler"|*" --trainer.detect_anomaly"|*" --trainer.barebones"|*" --trainer.sync_batchnorm"|*" --trainer.enable_autolog_hparams") words='true false' look=nothing ;;
        *" --model.init") words='default torch' look=nothing ;;
        *" --model.vectors"|*" --data.path"|*" --ckpt_path") words='' look=files ;;
        *" --model.pooling") words='last mean max mean_max mean_max_last attention' look=nothing ;;
        *" --data") words='AddingProblem CopyMemory Digits IMDb NextWord Parity SelectiveCopy SeriesFiles SyntheticSequences TemporalOrder TextFiles' look=nothing ;;
        *" --data.truncate") words='head tail head_tail' look=nothing ;;
        *" --data.targets") words='labels next_token previous_token' look=nothing ;;
        *" --data.unit") words='word character spaced_word' look=nothing ;;
        *" --data.rule") words='first_plus_last random' look=nothing ;;
        *" --optimizer") words='Adafactor Muon Adadelta Adagrad Adam Adamax AdamW ASGD LBFGS NAdam RAdam RMSprop Rprop SGD SparseAdam' look=nothing ;;
        *" --lr_scheduler") words='OneCycle LambdaLR MultiplicativeLR StepLR MultiStepLR ConstantLR LinearLR ExponentialLR SequentialLR PolynomialLR CosineAnnealingLR ChainedScheduler ReduceLROnPlateau CyclicLR CosineAnnealingWarmRestarts OneCycleLR null' look=nothing ;;
        *" --lr_scheduler.mode") words='min max triangular triangular2 exp_range' look=nothing ;;
        *" --lr_scheduler.threshold_mode") words='rel abs' look=nothing ;;
        *" --lr_scheduler.scale_mode") words='cycle iterations' look=nothing ;;
        *" --lr_scheduler.anneal_strategy") words='cos linear' look=nothing ;;
        *" --trainer.precision") words='64 32 16 transformer-engine transformer-engine-float16 16-true 16-mixed bf16-true bf16-mixed 32-true 64-true bf16' look=nothing ;;
        *" --trainer.deterministic") words='true false warn' look=nothing ;;
        *" --trainer.default_root_dir") words='' look=folders ;;
        *" --checkpoint"|*" --early_stopping") words='null' look=nothing ;;
        *" --checkpoint.mode"|*" --early_stopping.mode") words='min max' look=nothing ;;
        *--dry-run|*--allow-imports|*--help|*-v|*--json|*--int8|*--keep|*-h|*--verbose) ;;
        *' '-*) look=nothing ;;
    esac
    if [[ $cur == -* ]]; then
        look=
    fi
    if [[ -z $look && $cur != -* ]]; then
        case $verb in
            ensemble) words='' look=runs ;;
            report) words='' look=runs ;;
            list) words='verbs configs presets layers tasks data plugins runs' look=nothing ;;
            completion) words='bash zsh fish' look=nothing ;;
        esac
    fi
    if [[ -z $look ]]; then
        case $verb in
        fit) words="--resume --seeds --run --dry-run --plugins --allow-imports --help -v $of_config $of_model $of_data $of_optimizer $of_lr_scheduler $of_trainer $of_checkpoint $of_early_stopping $of_seed_everything $of_ckpt_path" ;;
        validate) words="--run --ckpt_path --json --plugins --allow-imports --help -v $of_config $of_data $of_trainer $of_seed_everything" ;;
        test) words="--run --ckpt_path --json --plugins --allow-imports --help -v $of_config $of_data $of_trainer $of_seed_everything" ;;
        predict) words="--text --file --output --run --ckpt_path --json --plugins --allow-imports --help -v $of_config $of_data $of_trainer $of_seed_everything" ;;
        generate) words="--prompt --length --temperature --top_k --top_p --seed --run --ckpt_path --config --plugins --allow-imports --help" ;;
        export) words="--output --int8 --run --ckpt_path --plugins --allow-imports --help" ;;
        baseline) words="--keep --longest --json --plugins --allow-imports --help -v $of_config $of_data $of_seed_everything" ;;
        ensemble) words="--plugins --allow-imports --help -v $of_config $of_data $of_trainer $of_seed_everything" ;;
        compare) words="--rows --columns --seeds --jobs --metric --output --plugins --allow-imports --help -v $of_config $of_model $of_data $of_optimizer $of_lr_scheduler $of_trainer $of_checkpoint $of_early_stopping" ;;
        sweep) words="--trials --jobs --output --storage --study --engine --json --plugins --allow-imports --help -v $of_config $of_model $of_data $of_optimizer $of_lr_scheduler $of_trainer $of_checkpoint $of_early_stopping $of_seed_everything" ;;
        find-lr) words="--output --plugins --allow-imports --help -v $of_config $of_model $of_data $of_optimizer $of_lr_scheduler $of_trainer $of_seed_everything" ;;
        find-batch-size) words="--plugins --allow-imports --help -v $of_config $of_model $of_data $of_optimizer $of_lr_scheduler $of_trainer $of_seed_everything" ;;
        report) words="--output --help" ;;
        list) words="--json --help" ;;
        schema) words="--plugins --allow-imports --help" ;;
        completion) words="--help" ;;
        new) words="--help" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    local IFS=$'\n'
    case $look in
        runs)
            for item in "${RNN_LIGHTNING_RUNS:-runs}"/*/*/config.yaml; do
                item=${item%/config.yaml}
                if [[ $item == "$cur"* && -d $item ]]; then COMPREPLY+=("$item"); fi
            done
            ;;
        configs) COMPREPLY+=($(compgen -f -X '!*.yaml' -- "$cur") $(compgen -d -S / -- "$cur")) ;;
        files|checkpoints) COMPREPLY+=($(compgen -f -- "$cur")) ;;
        folders) COMPREPLY+=($(compgen -d -- "$cur")) ;;
        *) return ;;
    esac
    # Outside of a completion, as in a test, there is none to set an option of.
    compopt -o filenames 2>/dev/null
}

complete -F _rnn_lightning rnn-lightning
