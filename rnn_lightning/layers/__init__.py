"""Recurrent layers and what stands around them, in plain torch."""

from rnn_lightning.layers.base import RecurrentLayer, State
from rnn_lightning.layers.embedding import TokenEmbedding
from rnn_lightning.layers.gru import GRU
from rnn_lightning.layers.gru_ln import LayerNormGRU
from rnn_lightning.layers.head import TiedHead, make_head
from rnn_lightning.layers.lstm import LSTM
from rnn_lightning.layers.lstm_ln import LayerNormLSTM
from rnn_lightning.layers.mingru import MinGRU
from rnn_lightning.layers.minlstm import MinLSTM
from rnn_lightning.layers.ngrams import NgramMix, NgramSum
from rnn_lightning.layers.pooling import Pooling, PoolingName
from rnn_lightning.layers.projected import Projected
from rnn_lightning.layers.qrnn import QRNN
from rnn_lightning.layers.rnn import RNN
from rnn_lightning.layers.rnn_ln import LayerNormRNN
from rnn_lightning.layers.scan import scan
from rnn_lightning.layers.slstm import SLSTM
from rnn_lightning.layers.sru import SRU
from rnn_lightning.layers.stack import Bidirectional, RecurrentStack, StackState
from rnn_lightning.layers.transformer import Transformer

__all__ = [
    "GRU",
    "LSTM",
    "QRNN",
    "RNN",
    "SLSTM",
    "SRU",
    "Bidirectional",
    "LayerNormGRU",
    "LayerNormLSTM",
    "LayerNormRNN",
    "MinGRU",
    "MinLSTM",
    "NgramMix",
    "NgramSum",
    "Pooling",
    "PoolingName",
    "Projected",
    "RecurrentLayer",
    "RecurrentStack",
    "StackState",
    "State",
    "TiedHead",
    "TokenEmbedding",
    "Transformer",
    "make_head",
    "scan",
]
