# SPDX-License-Identifier: MIT-0
# Wrap the packaged IP, of either spelling, as a user-managed kernel for v++: build/accel.xo.
#
#   CODESIGN_SPELLING=rtl vivado -mode batch -source link/package_xo.tcl     after rtl/package_ip.tcl
#   CODESIGN_SPELLING=hls vivado -mode batch -source link/package_xo.tcl     after the HLS export
#
# User-managed, because the host reads registers that a kernel managed by XRT cannot return.

set here [file normalize [file dirname [info script]]]
set root [file dirname $here]
source [file join $root settings.tcl]
source [file join $here spelling.tcl]

set xo [file join $root build accel.xo]
file delete -force $xo
package_xo -xo_path $xo -kernel_name accel -ip_directory [ip_folder $root] -ctrl_protocol user_managed
puts "codesign: wrote $xo"
